//! What a group launches, by its own settings or by those that a refresh is to bring about.

use crate::mixed::{Mixed, Override};
use crate::model::{Group, Template};
use serde::{Deserialize, Serialize};

/// What a group launches: its template, or a mixed instances policy with that template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The template.
    pub template: Template,
    /// The policy, where it has one.
    pub mixed: Option<Mixed>,
}

impl Configuration {
    /// What is put in the template's place: of several choices the first, as On-Demand Instances are given by priority, and every
    /// type is to be had here wherever one is.
    pub fn choice(&self) -> Option<&Override> {
        self.mixed.as_ref()?.overrides.first()
    }

    /// The template that is launched of.
    pub fn launch_template(&self) -> &Template {
        self.choice().and_then(|choice| choice.template.as_ref()).unwrap_or(&self.template)
    }
}

impl Group {
    /// What it launches by its own settings.
    pub fn configuration(&self) -> Configuration {
        Configuration { template: self.template.clone(), mixed: self.mixed.clone() }
    }

    /// Gives it other settings of that.
    pub fn configure(&mut self, configuration: Configuration) {
        (self.template, self.mixed) = (configuration.template, configuration.mixed);
    }
}
