//! `zonal deploy`: a stack from a template, created or updated, watched until it is done.

use crate::commands::interrupts::Interrupts;
use crate::commands::{CommandError, Where, api, status};
use crate::settings::Settings;
use clap::Args;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the stack's events are asked for.
const LOOK: Duration = Duration::from_millis(100);

/// Options of `zonal deploy`.
#[derive(Args)]
pub struct DeployArguments {
    #[command(flatten)]
    place: Where,
    /// A CloudFormation template, YAML or JSON
    template: PathBuf,
    /// The stack's name [default: the template's file name]
    #[arg(long, value_name = "NAME")]
    stack: Option<String>,
    /// A parameter's value; more than once for more than one
    #[arg(long, value_name = "KEY=VALUE", value_parser = parameter)]
    parameter: Vec<(String, String)>,
    /// The region
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// Print the end as JSON, and nothing else on standard output
    #[arg(long)]
    json: bool,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("`{text}` is no KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The stack that is deployed.
struct Stack<'a> {
    settings: &'a Settings,
    region: &'a str,
    name: String,
    /// The events that are not news.
    seen: BTreeSet<String>,
}

/// Deploys.
///
/// # Errors
/// The template is malformed, or the stack does not come to what it says.
pub fn run(arguments: &DeployArguments) -> Result<(), CommandError> {
    let settings = status::settings(&arguments.place)?;
    let body =
        fs::read_to_string(&arguments.template).map_err(|error| CommandError::file(&arguments.template, error))?;
    let name = arguments.stack.clone().unwrap_or_else(|| name_of(&arguments.template));
    let mut stack = Stack { settings: &settings, region: &arguments.region, name, seen: BTreeSet::new() };
    let changed = stack.submit(arguments, &body).map_err(|error| with_line(&arguments.template, &body, error))?;
    let show = |line: &str| if arguments.json { eprintln!("{line}") } else { println!("{line}") };
    let status = if changed { stack.watch(&show)? } else { stack.status()?.unwrap_or_default() };
    let described = stack.call("DescribeStacks", json!({ "StackName": stack.name }))?;
    let described = &described["Stacks"][0];
    let outputs: Map<String, Value> = list(described, "Outputs")
        .iter()
        .map(|output| (text(output, "OutputKey"), output["OutputValue"].clone()))
        .collect();
    let fine = matches!(status.as_str(), "CREATE_COMPLETE" | "UPDATE_COMPLETE");
    let reason = if fine { None } else { Some(stack.reason()?) };
    if arguments.json {
        println!(
            "{:#}",
            json!({ "stack": stack.name, "status": status, "changed": changed, "outputs": outputs, "reason": reason })
        );
    } else {
        if !changed {
            println!("{} is as the template says: nothing to change.", stack.name);
        }
        let width = outputs.keys().map(String::len).max().unwrap_or_default();
        for (key, value) in &outputs {
            println!("{key:<width$}  {}", value.as_str().unwrap_or_default());
        }
    }
    match reason {
        None => Ok(()),
        Some(reason) => Err(CommandError::said(format!("{} ended as {status}: {reason}", stack.name))),
    }
}

impl Stack<'_> {
    fn call(&self, operation: &str, input: Value) -> Result<Value, CommandError> {
        let call =
            json!({ "region": self.region, "service": "cloudformation", "operation": operation, "input": input });
        let mut answer = api::call(self.settings, "POST", "/_zonal/call", &call.to_string())?;
        Ok(answer["output"].take())
    }

    /// How it stands; `None` where there is none.
    fn status(&self) -> Result<Option<String>, CommandError> {
        match self.call("DescribeStacks", json!({ "StackName": self.name })) {
            Ok(described) => {
                Ok(Some(text(&described["Stacks"][0], "StackStatus")).filter(|status| status != "DELETE_COMPLETE"))
            }
            Err(error) if error.to_string().contains("does not exist") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for what the template says; whether that is a change.
    fn submit(&mut self, arguments: &DeployArguments, body: &str) -> Result<bool, CommandError> {
        let mut status = self.status()?;
        if status.as_deref() == Some("ROLLBACK_COMPLETE") {
            // Such a stack has nothing in it, and AWS lets it be deleted only.
            self.call("DeleteStack", json!({ "StackName": self.name }))?;
            while self.status()?.is_some_and(|status| status == "ROLLBACK_COMPLETE" || status == "DELETE_IN_PROGRESS") {
                std::thread::sleep(LOOK);
            }
            status = self.status()?;
        }
        let given = |(key, value): &(String, String)| json!({ "ParameterKey": key, "ParameterValue": value });
        let mut input = json!({
            "StackName": self.name,
            "TemplateBody": body,
            "Parameters": arguments.parameter.iter().map(given).collect::<Vec<_>>(),
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        });
        let Some(_) = status else { return self.call("CreateStack", input).map(|_| true) };
        self.keep_parameters(&mut input)?;
        self.news()?;
        match self.call("UpdateStack", input) {
            Err(error) if error.to_string().contains("No updates are to be performed") => Ok(false),
            done => done.map(|_| true),
        }
    }

    /// Parameters that are not given keep the values that they have, where the template still knows them.
    fn keep_parameters(&self, input: &mut Value) -> Result<(), CommandError> {
        let summary = self.call("GetTemplateSummary", json!({ "TemplateBody": input["TemplateBody"] }))?;
        let known: BTreeSet<String> =
            list(&summary, "Parameters").iter().map(|parameter| text(parameter, "ParameterKey")).collect();
        let described = self.call("DescribeStacks", json!({ "StackName": self.name }))?;
        let Some(parameters) = input["Parameters"].as_array_mut() else { return Ok(()) };
        for parameter in list(&described["Stacks"][0], "Parameters") {
            let key = text(parameter, "ParameterKey");
            if known.contains(&key) && parameters.iter().all(|given| text(given, "ParameterKey") != key) {
                parameters.push(json!({ "ParameterKey": key, "UsePreviousValue": true }));
            }
        }
        Ok(())
    }

    /// The events since this was asked last, oldest first.
    fn news(&mut self) -> Result<Vec<Value>, CommandError> {
        let described = self.call("DescribeStackEvents", json!({ "StackName": self.name }))?;
        let mut news: Vec<Value> = list(&described, "StackEvents").to_vec();
        news.retain(|event| self.seen.insert(text(event, "EventId")));
        news.reverse();
        Ok(news)
    }

    /// Shows what happens until the stack is done; its status then.
    ///
    /// # Errors
    /// Nobody answers, or we are told to end: the stack goes on then.
    fn watch(&mut self, show: &dyn Fn(&str)) -> Result<String, CommandError> {
        let mut interrupts = Interrupts::listen()?;
        loop {
            let status = self.status()?.unwrap_or_else(|| "DELETE_COMPLETE".to_owned());
            for event in self.news()? {
                show(&line(&event));
            }
            if !status.ends_with("_IN_PROGRESS") {
                return Ok(status);
            }
            if interrupts.within(LOOK) {
                return Err(CommandError::Interrupted(self.goes_on(&status)));
            }
        }
    }

    /// What is to be known of a stack that nobody watches any more.
    fn goes_on(&self, status: &str) -> String {
        let Self { name, region, .. } = self;
        let cancel = cancelling(status).map_or_else(String::new, |operation| {
            format!(". Cancel it: aws --region {region} cloudformation {operation} --stack-name {name}")
        });
        format!(
            "{name} goes on ({status}). Watch it: zonal status, or aws --region {region} cloudformation describe-stack-events --stack-name {name}{cancel}"
        )
    }

    /// Why it is not what the template says: the first resource of its last change that failed.
    fn reason(&self) -> Result<String, CommandError> {
        let described = self.call("DescribeStackEvents", json!({ "StackName": self.name }))?;
        let mut reason = "no resource says why".to_owned();
        for event in list(&described, "StackEvents") {
            let status = text(event, "ResourceStatus");
            let whole = text(event, "PhysicalResourceId") == text(event, "StackId");
            if status.ends_with("_FAILED") && !whole {
                reason =
                    format!("{} {status}: {}", text(event, "LogicalResourceId"), text(event, "ResourceStatusReason"));
            }
            if whole && matches!(status.as_str(), "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS") {
                break;
            }
        }
        Ok(reason)
    }
}

/// What cancels a stack's change; of what goes back already, or only tidies up, nothing does: a deletion would take what is kept.
fn cancelling(status: &str) -> Option<&'static str> {
    match status {
        "CREATE_IN_PROGRESS" => Some("delete-stack"),
        "UPDATE_IN_PROGRESS" => Some("cancel-update-stack"),
        _ => None,
    }
}

/// A stack's name from its template's: letters, digits and hyphens, a letter first.
fn name_of(template: &Path) -> String {
    let stem = template.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("stack-{name}") }
}

/// An event as a line, coloured by how it went where a person looks on.
fn line(event: &Value) -> String {
    let status = text(event, "ResourceStatus");
    let time = text(event, "Timestamp");
    // To the millisecond: HH:MM:SS.mmm.
    let clock: String = time.split('T').nth(1).unwrap_or(&time).trim_end_matches('Z').chars().take(12).collect();
    let (kind, reason) = (text(event, "ResourceType"), text(event, "ResourceStatusReason"));
    let plain = format!("{status:<27}");
    let shown = if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        let colour = match () {
            () if status.contains("FAILED") || status.contains("ROLLBACK") => 31,
            () if status.ends_with("_COMPLETE") => 32,
            () => 33,
        };
        format!("\x1b[{colour}m{plain}\x1b[0m")
    } else {
        plain
    };
    format!("{clock:<12} {shown} {:<24} {kind} {reason}", text(event, "LogicalResourceId")).trim_end().to_owned()
}

/// Adds the line of the template that an error speaks of.
fn with_line(path: &Path, body: &str, error: CommandError) -> CommandError {
    let said = error.to_string();
    let Some(number) = line_in(&said) else { return error };
    match body.lines().nth(number.saturating_sub(1)) {
        Some(line) => CommandError::said(format!("{said}\n  {}:{number}: {line}", path.display())),
        None => CommandError::said(format!("{said}\n  {}:{number}: the template's end", path.display())),
    }
}

/// The number after the word `line`.
fn line_in(message: &str) -> Option<usize> {
    let (_, rest) = message.split_once("line ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_to_delete_a_stack_that_goes_back_to_what_it_was() {
        assert_eq!(cancelling("CREATE_IN_PROGRESS"), Some("delete-stack"));
        assert_eq!(cancelling("UPDATE_IN_PROGRESS"), Some("cancel-update-stack"));
        for status in ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "ROLLBACK_IN_PROGRESS"] {
            assert_eq!(cancelling(status), None, "{status}");
        }
    }

    #[test]
    fn a_stack_is_named_as_its_template() {
        assert_eq!(name_of(Path::new("cases/whatsthetime/phase-5.yaml")), "phase-5");
        assert_eq!(name_of(Path::new("1_web.json")), "stack-1-web");
    }

    #[test]
    fn a_malformed_template_is_told_with_its_line() {
        let said =
            CommandError::said("ValidationError: Template format error: YAML not well-formed. (line 2, column 3)");
        let told = with_line(Path::new("a.yaml"), "Resources:\n  - [\n", said).to_string();
        assert!(told.ends_with("\n  a.yaml:2:   - ["), "{told}");
    }

    #[test]
    fn an_error_without_a_line_stays_as_it_is() {
        assert_eq!(with_line(Path::new("a.yaml"), "", CommandError::said("no")).to_string(), "no");
    }
}
