//! Instances.

use serde::{Deserialize, Serialize};
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;
use zonal_substrate::Lack;
use zonal_wire::Time;

/// An instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// `i-…`.
    pub id: String,
    /// `r-…`: shared by those started in one call.
    pub reservation: String,
    /// Its place in that call.
    pub launch_index: i32,
    /// The image.
    pub image: String,
    /// What the image calls its root device.
    #[serde(default = "crate::model::xvda")]
    pub root_device: String,
    /// Such as `t2.micro`.
    pub instance_type: String,
    /// The key pair's name.
    pub key_name: Option<String>,
    /// Its public half, as it was at launch: deleting the pair takes it from nobody.
    #[serde(default)]
    pub public_key: Option<String>,
    /// Its Availability Zone's name.
    pub zone: String,
    /// Its VPC.
    pub vpc: String,
    /// Its subnet.
    pub subnet: String,
    /// Its primary interface.
    pub interface: String,
    /// Its further interfaces, in the order in which they were attached.
    #[serde(default)]
    pub more_interfaces: Vec<String>,
    /// Its root volume.
    pub volume: String,
    /// Where it is in its life.
    pub state: InstanceState,
    /// How its status checks stood when they were made last.
    pub status: Status,
    /// That its machine is dead, which the next check will find.
    #[serde(default)]
    pub failure: Option<Failure>,
    /// Which start this is; counts up with every start and reboot.
    pub generation: u64,
    /// What keeps it from starting, which is tried again.
    #[serde(default)]
    pub trouble: Option<Trouble>,
    /// It is being stopped without an orderly shutdown.
    #[serde(default)]
    pub stop_forced: bool,
    /// When it was started last.
    pub launched: Time,
    /// Why it is in its state.
    pub reason: Option<StateReason>,
    /// Since when it is terminated: it is forgotten an hour later.
    pub terminated: Option<Time>,
    /// User data as given: base64.
    pub user_data: Option<String>,
    /// Detailed monitoring.
    pub monitoring: bool,
    /// `ebsOptimized`.
    pub ebs_optimized: bool,
    /// Whether `TerminateInstances` is refused.
    pub termination_protection: bool,
    /// Whether `StopInstances` is refused.
    pub stop_protection: bool,
    /// Shutting itself down terminates it rather than stops it.
    pub terminate_on_shutdown: bool,
    /// The instance profile's ARN.
    pub profile: Option<String>,
    /// Settings of the metadata service.
    pub metadata: MetadataOptions,
    /// `unlimited` or `standard`, for burstable types.
    pub credits: Option<String>,
    /// The client token it was started with.
    pub client_token: String,
    /// Tags.
    pub tags: Tags,
}

impl Record for Instance {
    const TABLE: &'static str = "ec2.instance";
    fn key(&self) -> &str {
        &self.id
    }
}

/// Where an instance is in its life. Source: "Amazon EC2 instance state changes" in the EC2 User Guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    /// Being started.
    Pending,
    /// Its PID 1 runs.
    Running,
    /// Being stopped.
    Stopping,
    /// Stopped; its disk is kept.
    Stopped,
    /// Being terminated.
    ShuttingDown,
    /// Gone.
    Terminated,
}

impl InstanceState {
    /// AWS's number for it, in the low byte.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Pending => 0,
            Self::Running => 16,
            Self::ShuttingDown => 32,
            Self::Terminated => 48,
            Self::Stopping => 64,
            Self::Stopped => 80,
        }
    }

    /// AWS's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::ShuttingDown => "shutting-down",
            Self::Terminated => "terminated",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// Whether it is on its way to another.
    #[must_use]
    pub fn in_transition(self) -> bool {
        matches!(self, Self::Pending | Self::Stopping | Self::ShuttingDown)
    }

    /// Whether `StartInstances` may be called; starting what starts or runs changes nothing.
    #[must_use]
    pub fn can_start(self) -> bool {
        matches!(self, Self::Stopped | Self::Pending | Self::Running)
    }

    /// Whether `StopInstances` may be called.
    #[must_use]
    pub fn can_stop(self) -> bool {
        !matches!(self, Self::ShuttingDown | Self::Terminated)
    }

    /// Whether it is over, or about to be.
    #[must_use]
    pub fn is_ending(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// That an instance's machine died while it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Since when.
    pub since: Time,
    /// What the checks will say.
    pub status: Status,
}

/// What keeps an instance from starting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when.
    pub since: Time,
    /// What was tried last and what came of it.
    pub why: String,
}

impl Trouble {
    /// For so long at most it is tried again, microseconds: no instance is pending for ever.
    const PATIENCE: i64 = 300_000_000;

    /// When it is given up.
    #[must_use]
    pub fn given_up_at(&self) -> Time {
        Time(self.since.0 + Self::PATIENCE)
    }
}

impl Instance {
    /// When the status check is made that finds a failure. Source: "Status checks for Amazon EC2 instances" in the EC2 User Guide:
    /// they are performed every minute.
    #[must_use]
    pub fn found_at(&self, failure: &Failure) -> Time {
        let minute = 60_000_000;
        let checks = (failure.since.0 - self.launched.0).max(0) / minute + 1;
        Time(self.launched.0 + checks * minute)
    }
}

/// How an instance's status checks stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It answers.
    Ok,
    /// Its operating system is dead (`StatusCheckFailed_Instance`).
    InstanceImpaired,
    /// Its zone is cut off (`StatusCheckFailed_System`).
    SystemImpaired,
}

/// Why an instance is in its state, in AWS's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReason {
    /// Such as `Client.UserInitiatedShutdown`.
    pub code: String,
    /// The code and a text.
    pub message: String,
    /// When a user asked for it; none where something else brought it about.
    #[serde(default)]
    pub by_user: Option<Time>,
}

impl StateReason {
    /// A reason whose message repeats its code, as AWS forms most of them.
    #[must_use]
    pub fn new(code: &str, text: &str) -> Self {
        Self { code: code.to_owned(), message: format!("{code}: {text}"), by_user: None }
    }

    /// It never ran. `why` is the world's own reason, behind AWS's words. Source: `StateReason` in the API reference.
    #[must_use]
    pub fn not_started(lack: Lack, why: &str) -> Self {
        let (code, text) = match lack {
            Lack::Room => {
                ("Server.InsufficientInstanceCapacity", "Insufficient capacity to satisfy the launch request")
            }
            Lack::Image => ("Client.InternalError", "Client error on launch"),
            Lack::Other => ("Server.InternalError", "Internal error on launch"),
        };
        Self::new(code, &format!("{text} ({why})"))
    }

    /// Whether it tells that a start failed.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(
            self.code.as_str(),
            "Server.InsufficientInstanceCapacity" | "Client.InternalError" | "Server.InternalError"
        )
    }

    /// A user stops or terminates the instance.
    #[must_use]
    pub fn by_user(at: Time) -> Self {
        Self { by_user: Some(at), ..Self::new("Client.UserInitiatedShutdown", "User initiated shutdown") }
    }
}

/// Settings of the metadata service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetadataOptions {
    /// Whether it answers.
    pub enabled: bool,
    /// Whether a session token is required (IMDSv2 only).
    pub token_required: bool,
    /// How far a token's answer travels, 1 to 64.
    pub hop_limit: i32,
    /// Whether the instance's tags are shown.
    pub tags: bool,
}
