//! The command line.

pub mod api;
mod break_;
mod coverage;
mod deploy;
pub mod doctor;
pub mod down;
mod env;
mod inspect;
mod instance;
mod interrupts;
pub mod run_daemon;
mod setup;
mod ssh;
mod status;
pub mod up;

use clap::{Args, CommandFactory, Parser, Subcommand};
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

/// Classic AWS architectures on one Linux machine, for real.
#[derive(Parser)]
#[command(name = "zonal", version, propagate_version = true, max_term_width = 100, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// Which world a command speaks of.
#[derive(Args, Clone)]
pub struct Where {
    /// The world's directory [default: $ZONAL_HOME, or /var/lib/zonal for root, ~/.local/state/zonal for others]
    #[arg(long, value_name = "DIR", global = true)]
    home: Option<PathBuf>,
}

impl Where {
    fn directory(&self) -> PathBuf {
        let directory = self.home.clone().unwrap_or_else(crate::settings::default_directory);
        // The world's processes are told it, and do not run where this one does.
        std::path::absolute(&directory).unwrap_or(directory)
    }

    /// The directory of a world that is there already.
    fn existing(&self) -> PathBuf {
        self.home.clone().unwrap_or_else(crate::settings::existing_directory)
    }
}

#[derive(Subcommand)]
enum Command {
    /// Start a world
    #[command(
        after_help = "Examples:\n  sudo zonal up --detach && eval \"$(zonal env)\"\n  zonal up --world sim --ephemeral\n  sudo zonal up --speed 60 --pace aws"
    )]
    Up(up::UpArguments),
    /// End the world; its state and disks stay for the next `up`
    Down(down::DownArguments),
    /// What runs
    Status(status::StatusArguments),
    /// Print the environment that AWS clients need
    #[command(after_help = "Example:\n  eval \"$(zonal env)\" && aws ec2 describe-instances")]
    Env(env::EnvArguments),
    /// What this machine can run, and what to do where it can't
    Doctor(doctor::DoctorArguments),
    /// Let ordinary users run the real world: what root must do for it, once
    #[command(after_help = "Example:\n  sudo zonal setup")]
    Setup(setup::SetupArguments),
    /// Create or update a stack from a template, and watch it
    #[command(
        after_help = "Examples:\n  zonal deploy cases/whatsthetime/phase-5.yaml\n  zonal deploy web.yaml --stack shop --parameter Size=t3.small"
    )]
    Deploy(deploy::DeployArguments),
    /// Break something on purpose
    #[command(
        after_help = "Examples:\n  zonal break instance web-1\n  zonal break az us-east-1a --for 60s\n  zonal break mend us-east-1a"
    )]
    Break(break_::BreakArguments),
    /// Deploy, load, break and measure a case
    #[command(
        after_help = "Examples:\n  sudo zonal lab whatsthetime\n  zonal lab whatsthetime --world sim --phase 5 --json"
    )]
    Lab(crate::lab::LabArguments),
    /// An instance's console output
    #[command(after_help = "Examples:\n  zonal logs i-0123456789abcdef0\n  zonal logs --follow web-1")]
    Logs(inspect::LogsArguments),
    /// A shell in an instance, or one command
    #[command(
        after_help = "Examples:\n  sudo zonal ssh i-0123456789abcdef0\n  sudo zonal ssh web-1 systemctl status --no-pager"
    )]
    Ssh(ssh::SshArguments),
    /// Print what is implemented, as Markdown
    Coverage,
    /// Print this, or what a command takes
    Help {
        /// The command
        command: Vec<String>,
    },
}

/// Runs a command; its exit code.
pub fn run(arguments: Arguments) -> ExitCode {
    // Whoever reads our output may have had enough (`zonal coverage | head`): that is an end, and no failure to tell of.
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic
            .payload()
            .downcast_ref::<String>()
            .is_some_and(|text| text.starts_with("failed printing to stdout: Broken pipe"))
        {
            std::process::exit(0);
        }
        tell(panic);
    }));
    match arguments.command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Down(arguments) => exit(down::run(&arguments)),
        Command::Status(arguments) => exit(status::run(&arguments)),
        Command::Env(arguments) => exit(env::run(&arguments)),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Setup(arguments) => exit(setup::perform(&arguments)),
        Command::Deploy(arguments) => exit_or_interrupted(deploy::run(&arguments)),
        Command::Break(arguments) => exit(break_::run(&arguments)),
        Command::Lab(arguments) => crate::lab::run(&arguments),
        Command::Logs(arguments) => exit(inspect::logs(&arguments)),
        Command::Ssh(arguments) => ssh::run(&arguments),
        Command::Coverage => exit(coverage::run()),
        Command::Help { command } => exit(help(&command)),
    }
}

/// Prints what a command takes; without its words, which commands there are. Clap's own takes no `--help`.
fn help(words: &[String]) -> Result<(), CommandError> {
    let mut whole = Arguments::command();
    whole.build();
    let mut found = &mut whole;
    for word in words {
        match found.find_subcommand_mut(word) {
            Some(below) => found = below,
            None => {
                return Err(CommandError::said(format!(
                    "there is no `{}`: `zonal help` lists the commands",
                    words.join(" ")
                )));
            }
        }
    }
    found.print_long_help().map_err(CommandError::said)
}

/// What went wrong, for people: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Said whole by itself.
    #[error("{0}")]
    Said(String),
    /// A world's processes.
    #[error(transparent)]
    Linux(#[from] zonal_linux::Error),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The user stopped it by Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
    /// The state.
    #[error(transparent)]
    State(#[from] zonal_cloud::OpenError),
    /// The door.
    #[error(transparent)]
    Serve(#[from] crate::daemon::ServeError),
}

impl CommandError {
    /// An error that says itself.
    pub fn said(text: impl Display) -> Self {
        Self::Said(text.to_string())
    }

    /// A file's.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::File { path: path.into(), source }
    }
}

/// The exit code of a command that Ctrl-C ended, as shells have it: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

/// As [`exit`], and 130 where it was the user that stopped it.
pub fn exit_or_interrupted(result: Result<(), CommandError>) -> ExitCode {
    let interrupted = matches!(result, Err(CommandError::Interrupted(_)));
    let code = exit(result);
    if interrupted { ExitCode::from(INTERRUPTED) } else { code }
}

/// 0, or the error on standard error and 1.
pub fn exit<E: std::error::Error>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text.push_str(&format!(": {cause_text}"));
                }
                source = cause.source();
            }
            eprintln!("zonal: {text}");
            ExitCode::FAILURE
        }
    }
}
