//! Composite alarms, dashboards, and the history of alarms.

use crate::model::{AlarmState, SEPARATOR};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use zonal_cloud::Record;
use zonal_cloud::tags::Tags;
use zonal_wire::Time;

/// An alarm over the states of other alarms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Composite {
    /// Its name: the key.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Whether actions are run.
    pub actions_enabled: bool,
    /// Actions by the state that runs them.
    pub ok_actions: Vec<String>,
    /// See `ok_actions`.
    pub alarm_actions: Vec<String>,
    /// See `ok_actions`.
    pub insufficient_data_actions: Vec<String>,
    /// Its rule, as written.
    pub rule: String,
    /// The alarms that the rule names.
    pub children: BTreeSet<String>,
    /// Its state.
    pub state: AlarmState,
    /// Why.
    pub reason: String,
    /// Why, as JSON.
    pub reason_data: Option<String>,
    /// When it was last configured.
    pub configured: Time,
    /// When its state or its reason last changed.
    pub updated: Time,
    /// When its state last changed.
    pub transitioned: Time,
    /// Its tags.
    pub tags: Tags,
}

impl Composite {
    /// The actions of its present state.
    pub fn actions(&self) -> &[String] {
        self.state.among(&self.ok_actions, &self.alarm_actions, &self.insufficient_data_actions)
    }
}

impl Record for Composite {
    const TABLE: &'static str = "cloudwatch.composite";

    fn key(&self) -> &str {
        &self.name
    }
}

/// A dashboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dashboard {
    /// Its name: the key.
    pub name: String,
    /// What it shows, as it was put.
    pub body: String,
    /// When it was last put.
    pub modified: Time,
}

impl Record for Dashboard {
    const TABLE: &'static str = "cloudwatch.dashboard";

    fn key(&self) -> &str {
        &self.name
    }
}

/// Of what kind a history item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryKind {
    /// `ConfigurationUpdate`
    Configuration,
    /// `StateUpdate`
    State,
    /// `Action`
    Action,
}

/// Something that happened to an alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    key: String,
    /// Its alarm.
    pub alarm: String,
    /// Whether that is a composite one.
    #[serde(default)]
    pub composite: bool,
    /// When.
    pub time: Time,
    /// What kind.
    pub kind: HistoryKind,
    /// In words.
    pub summary: String,
    /// As JSON.
    pub data: String,
}

impl History {
    /// The `ordinal`th of its instant.
    pub fn new(
        (alarm, composite): (&str, bool),
        time: Time,
        ordinal: usize,
        kind: HistoryKind,
        (summary, data): (String, String),
    ) -> Self {
        let key = Self::key_of(alarm, time, ordinal);
        Self { key, alarm: alarm.to_owned(), composite, time, kind, summary, data }
    }

    /// Keys are in the order of time.
    pub fn key_of(alarm: &str, time: Time, ordinal: usize) -> String {
        format!("{:020}{SEPARATOR}{alarm}{SEPARATOR}{ordinal:04}", time.0)
    }
}

impl Record for History {
    const TABLE: &'static str = "cloudwatch.alarm_history";

    fn key(&self) -> &str {
        &self.key
    }
}
