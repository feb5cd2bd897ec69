//! Unit files, as far as services need them.

use super::spawn::read_small;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where units are looked for, the first one found wins; the first is where those inside put theirs.
const PLACES: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
const LARGEST: u64 = 256 << 10;

/// When a service that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    Never,
    OnFailure,
    OnSuccess,
    Always,
}

impl Restart {
    /// Whether an end with this exit code calls for a new start.
    pub(super) fn after(self, exit: i32) -> bool {
        match self {
            Self::Never => false,
            Self::OnFailure => exit != 0,
            Self::OnSuccess => exit == 0,
            Self::Always => true,
        }
    }
}

/// What a service's end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It runs as long as it is active.
    Simple,
    /// It does one thing and ends.
    Oneshot,
    /// It goes to the background by itself.
    Forking,
}

/// A service unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub description: String,
    pub kind: Kind,
    /// Before the start, then the start: command lines.
    pub commands: Vec<String>,
    pub stop: Option<String>,
    pub restart: Restart,
    pub restart_after: Duration,
    pub remains: bool,
    pub environment: BTreeMap<String, String>,
    pub environment_files: Vec<String>,
    pub directory: Option<String>,
    pub user: Option<String>,
    pub group: Option<String>,
    /// Directories in `/run` that are its own.
    pub runtime: Vec<String>,
    pub wanted_by: Vec<String>,
}

impl Unit {
    /// Reads the unit of a service by its full name.
    pub(super) fn load(name: &str) -> io::Result<Self> {
        let path = find(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self::parse(&read_small(&path, LARGEST)?))
    }

    fn parse(text: &str) -> Self {
        let mut unit = Self {
            description: String::new(),
            kind: Kind::Simple,
            commands: Vec::new(),
            stop: None,
            restart: Restart::Never,
            restart_after: Duration::from_millis(100),
            remains: false,
            environment: BTreeMap::new(),
            environment_files: Vec::new(),
            directory: None,
            user: None,
            group: None,
            runtime: Vec::new(),
            wanted_by: Vec::new(),
        };
        let (mut before, mut starts) = (Vec::new(), Vec::new());
        let mut section = String::new();
        for line in text.replace("\\\n", " ").lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']').to_owned();
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let (key, value) = (key.trim(), value.trim());
            match (section.as_str(), key) {
                ("Unit", "Description") => value.clone_into(&mut unit.description),
                ("Service", "Type") => {
                    unit.kind = match value {
                        "oneshot" => Kind::Oneshot,
                        "forking" => Kind::Forking,
                        _ => Kind::Simple,
                    }
                }
                // An empty assignment clears the list.
                ("Service", "ExecStart") if value.is_empty() => starts.clear(),
                ("Service", "ExecStart") => starts.push(value.to_owned()),
                ("Service", "ExecStartPre") if value.is_empty() => before.clear(),
                ("Service", "ExecStartPre") => before.push(value.to_owned()),
                ("Service", "ExecStop") => unit.stop = Some(value.to_owned()),
                ("Service", "Restart") => {
                    unit.restart = match value {
                        "always" => Restart::Always,
                        "on-failure" | "on-abnormal" | "on-abort" | "on-watchdog" => Restart::OnFailure,
                        "on-success" => Restart::OnSuccess,
                        _ => Restart::Never,
                    }
                }
                ("Service", "RestartSec") => unit.restart_after = seconds(value).unwrap_or(unit.restart_after),
                ("Service", "RemainAfterExit") => unit.remains = matches!(value, "yes" | "true" | "1" | "on"),
                ("Service", "Environment") => {
                    for word in words(value) {
                        if let Some((name, value)) = word.split_once('=') {
                            unit.environment.insert(name.to_owned(), value.to_owned());
                        }
                    }
                }
                ("Service", "EnvironmentFile") => unit.environment_files.push(value.to_owned()),
                ("Service", "WorkingDirectory") => unit.directory = Some(value.to_owned()),
                ("Service", "User") => unit.user = Some(value.to_owned()),
                ("Service", "RuntimeDirectory") => unit.runtime.extend(words(value)),
                ("Service", "Group") => unit.group = Some(value.to_owned()),
                ("Install", "WantedBy" | "RequiredBy") => unit.wanted_by.extend(words(value)),
                _ => {}
            }
        }
        before.append(&mut starts);
        unit.commands = before;
        unit
    }

    /// The whole environment that the unit gives: its files', then its own.
    pub(super) fn full_environment(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for file in &self.environment_files {
            let path = Path::new(file.trim_start_matches('-'));
            for line in read_small(path, LARGEST).unwrap_or_default().lines() {
                if let Some((name, value)) = line.trim().split_once('=')
                    && !name.starts_with('#')
                {
                    all.insert(name.trim().to_owned(), value.trim().trim_matches('"').to_owned());
                }
            }
        }
        all.extend(self.environment.clone());
        all
    }
}

/// Where a unit's file is.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists())
}

/// The name of the unit itself, where this one is another name of it: a link to its file.
pub(super) fn real_name(name: String) -> String {
    let link = find(&name).and_then(|path| std::fs::read_link(path).ok());
    let target = link.and_then(|target| Some(target.file_name()?.to_str()?.to_owned()));
    target.filter(|target| target.ends_with(".service")).unwrap_or(name)
}

/// A unit's name in full, if it may be one at all.
pub(super) fn full_name(name: &str) -> Option<String> {
    let fine = !name.is_empty()
        && name.len() < 200
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@:\\".contains(&b));
    fine.then(|| if name.contains('.') { name.to_owned() } else { format!("{name}.service") })
}

fn wants(target: &str) -> PathBuf {
    Path::new(PLACES[0]).join(format!("{target}.wants"))
}

/// Has a service started at each boot.
pub(super) fn enable(name: &str) -> io::Result<Vec<PathBuf>> {
    let unit = Unit::load(name)?;
    let file = find(name).ok_or(io::ErrorKind::NotFound)?;
    let mut made = Vec::new();
    for target in &unit.wanted_by {
        let Some(target) = full_name(target) else { continue };
        let directory = wants(&target);
        std::fs::create_dir_all(&directory)?;
        let link = directory.join(name);
        match std::os::unix::fs::symlink(&file, &link) {
            Ok(()) => made.push(link),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(made)
}

/// The links by which a service is enabled.
pub(super) fn links(name: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(PLACES[0]) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let directory = entry.ok()?.path();
            let link = directory.join(name);
            (directory.extension()? == "wants" && link.symlink_metadata().is_ok()).then_some(link)
        })
        .collect()
}

/// The services that start at boot.
pub(super) fn enabled() -> Vec<String> {
    let mut names: Vec<String> = ["multi-user.target", "default.target", "graphical.target", "basic.target"]
        .iter()
        .filter_map(|target| std::fs::read_dir(wants(target)).ok())
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".service") && full_name(name).is_some())
        .map(real_name)
        .collect();
    names.sort();
    names.dedup();
    names
}

/// A span of time: `5`, `500ms`, `1min 30s`.
fn seconds(text: &str) -> Option<Duration> {
    text.split_whitespace().try_fold(Duration::ZERO, |sum, piece| {
        let digits = piece.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let factor = match &piece[digits.len()..] {
            "" | "s" | "sec" => 1.0,
            "ms" => 0.001,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let value = digits.parse::<f64>().ok().filter(|v| (0.0..1e6).contains(v))?;
        Some(sum + Duration::from_secs_f64(value * factor))
    })
}

/// Splits a line into words, with quotes and backslashes as systemd has them.
pub(super) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut started, mut quote) = (Vec::new(), String::new(), false, None);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                started = true;
            }
            (_, '\\') => {
                word.push(match letters.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some(other) => other,
                    None => '\\',
                });
                started = true;
            }
            (None, c) if c.is_whitespace() => {
                if started {
                    words.push(std::mem::take(&mut word));
                }
                started = false;
            }
            (_, c) => {
                word.push(c);
                started = true;
            }
        }
    }
    if started {
        words.push(word);
    }
    words
}

/// Puts the environment's values in for `$NAME` and `${NAME}`; a word that is only `$NAME` becomes several.
pub(super) fn expand(words: Vec<String>, environment: &BTreeMap<String, String>) -> Vec<String> {
    let mut all = Vec::new();
    for word in words {
        if let Some(name) = word.strip_prefix('$')
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        {
            let value = environment.get(name).map(String::as_str).unwrap_or_default();
            all.extend(value.split_whitespace().map(str::to_owned));
            continue;
        }
        let mut whole = String::new();
        let mut rest = word.as_str();
        while let Some(at) = rest.find("${") {
            whole.push_str(&rest[..at]);
            let Some(end) = rest[at..].find('}') else { break };
            whole.push_str(environment.get(&rest[at + 2..at + end]).map(String::as_str).unwrap_or_default());
            rest = &rest[at + end + 1..];
        }
        whole.push_str(rest);
        all.push(whole.replace("$$", "$").replace("%%", "%"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_as_people_write_them_is_read() {
        let unit = Unit::parse(
            "[Unit]\nDescription=App\n[Service]\nEnvironment=\"A=1 2\" B=3\nExecStartPre=/bin/mkdir -p /x\n\
             ExecStart=/usr/bin/python3 -m http.server \\\n  80\nRestart=always\nRestartSec=1min 2s\nUser=web\n\
             [Install]\nWantedBy=multi-user.target\n",
        );
        assert_eq!(unit.commands, ["/bin/mkdir -p /x", "/usr/bin/python3 -m http.server    80"]);
        assert_eq!(unit.environment["A"], "1 2");
        assert_eq!(unit.restart_after, Duration::from_secs(62));
        assert_eq!((unit.restart, unit.user.as_deref()), (Restart::Always, Some("web")));
        assert_eq!(unit.wanted_by, ["multi-user.target"]);
    }

    #[test]
    fn words_keep_quotes_together_and_variables_expand() {
        let environment = BTreeMap::from([("P".to_owned(), "80".to_owned()), ("ARGS".to_owned(), "a b".to_owned())]);
        let words = words("run \"a b\" --port=${P} $ARGS '' \\$");
        assert_eq!(expand(words, &environment), ["run", "a b", "--port=80", "a", "b", "", "$"]);
    }

    #[test]
    fn a_name_that_would_leave_the_directory_is_none() {
        assert_eq!(full_name("../x"), None);
        assert_eq!(full_name("a/b"), None);
        assert_eq!(full_name("web").as_deref(), Some("web.service"));
    }
}
