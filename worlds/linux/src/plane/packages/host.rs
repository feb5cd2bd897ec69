//! The machine's package manager, asked as an ordinary user: with the machine's sources, proxies and keys, and lists and files of our own.

use super::index::{self, Written};
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};
use tokio::process::Command;
use tokio::sync::Mutex;

/// An index that is older is made anew when it is asked for.
const FRESH: Duration = Duration::from_secs(6 * 3600);
/// How long reading lists, or fetching one package, may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How many bytes of packages are kept.
const MOST_KEPT: u64 = 4 << 30;
/// How many packages are fetched at once.
const LANES: usize = 8;

/// What is fetched through the package manager.
pub(super) struct Host {
    directory: PathBuf,
    indexing: Mutex<()>,
    /// A package is always fetched in the same lane: once, however many ask for it.
    lanes: [Mutex<()>; LANES],
}

impl Host {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), indexing: Mutex::new(()), lanes: Default::default() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A file of the index, as new as it should be.
    pub(super) async fn index(&self, name: &str) -> Result<Option<File>, String> {
        // Nobody fetches the plain list; it is named for the sums that are checked after unpacking.
        if name == "Packages" {
            return Ok(None);
        }
        let path = self.at(name);
        if name == "Release" && !is_fresh(&path) {
            let _only = self.indexing.lock().await;
            if !is_fresh(&path)
                && let Err(reason) = self.refresh().await
            {
                // An index that is older than it should be is better than none.
                if !path.exists() {
                    return Err(reason);
                }
                tracing::warn!(reason, "the index of packages is old");
            }
        }
        opened(&path)
    }

    /// A package's file, from what is kept or from the package manager. It is open: whatever is forgotten meanwhile, it can be sent.
    pub(super) async fn package(&self, file: &str) -> Result<Option<File>, String> {
        let kept = self.at("packages").join(file.replace('/', "_"));
        let mut hasher = DefaultHasher::new();
        file.hash(&mut hasher);
        let _lane = self.lanes[(hasher.finish() % LANES as u64) as usize].lock().await;
        if let Some(file) = opened(&kept)? {
            return Ok(Some(file));
        }
        if !self.at("table").exists() {
            self.index("Release").await?;
        }
        let (table, wanted) = (self.at("table"), file.to_owned());
        let found = tokio::task::spawn_blocking(move || index::find(BufReader::new(File::open(table)?), &wanted)).await;
        let Some(package) = found.map_err(|e| e.to_string())?.map_err(|e| format!("the table of packages: {e}"))?
        else {
            return Ok(None);
        };
        self.fetch(&package, &kept).await?;
        let file = opened(&kept)?;
        forget_old(&self.at("packages"), MOST_KEPT).map_err(|e| e.to_string())?;
        Ok(file)
    }

    /// Fetches one package, which the package manager checks, into `kept`.
    async fn fetch(&self, package: &str, kept: &Path) -> Result<(), String> {
        let named = |e: io::Error| format!("fetching {package}: {e}");
        let (packages, arriving) = (self.at("packages"), kept.with_extension("arriving"));
        let _ = fs::remove_dir_all(&arriving);
        fs::create_dir_all(&packages).and_then(|()| fs::create_dir_all(&arriving)).map_err(named)?;
        self.apt("apt-get", &["download", "--quiet", package], &arriving).await?;
        let arrived = fs::read_dir(&arriving).map_err(named)?.flatten().map(|entry| entry.path());
        let deb = arrived.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        let deb = deb.ok_or_else(|| format!("fetching {package}: no file came"))?;
        take_in(&deb, kept).and_then(|()| fs::remove_dir_all(&arriving)).map_err(named)
    }

    /// Reads the machine's lists anew and makes an index of them.
    async fn refresh(&self) -> Result<(), String> {
        let lists = self.at("lists/partial");
        fs::create_dir_all(&lists).map_err(|e| format!("{}: {e}", lists.display()))?;
        self.take_over_lists();
        self.apt("apt-get", &["update", "--quiet"], &self.directory).await?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let format = "$(FILENAME)\t$(RELEASE)\t$(ARCHITECTURE)";
        let targets = ["indextargets", "--format", format, "Identifier: Packages"];
        let targets = self.apt("apt-get", &targets, &self.directory).await?;
        let files: Vec<String> = targets.lines().filter_map(|line| chosen(line, architecture)).collect();
        if files.is_empty() {
            return Err("this machine's package manager offers nothing".to_owned());
        }
        let directory = self.directory.clone();
        let made = tokio::task::spawn_blocking(move || make_index(&directory, &files, architecture)).await;
        let written = made.map_err(|e| e.to_string())?.map_err(|e| format!("making the index of packages: {e}"))?;
        tracing::info!(packages = written.count, "an index of packages was made");
        Ok(())
    }

    /// Begins with the lists that the machine has already: then the package manager fetches only what has changed.
    fn take_over_lists(&self) {
        let Ok(entries) = fs::read_dir("/var/lib/apt/lists") else { return };
        for entry in entries.flatten() {
            let to = self.at("lists").join(entry.file_name());
            if to.exists() || !entry.file_type().is_ok_and(|kind| kind.is_file()) || entry.file_name() == "lock" {
                continue;
            }
            let copied = fs::copy(entry.path(), &to).and_then(|_| {
                let time = entry.metadata()?.modified()?;
                File::options().write(true).open(&to)?.set_times(fs::FileTimes::new().set_modified(time))
            });
            if copied.is_err() {
                let _ = fs::remove_file(&to);
            }
        }
    }

    /// Runs a command of the package manager on our own lists, and gives what it printed.
    async fn apt(&self, program: &str, arguments: &[&str], at: &Path) -> Result<String, String> {
        let own = self.directory.display();
        let mut command = Command::new(program);
        command
            .args(["-o", &format!("Dir::State={own}"), "-o", "Dir::State::status=/dev/null"])
            .args(["-o", &format!("Dir::State::lists={own}/lists"), "-o", &format!("Dir::Cache={own}")])
            // Some images keep none of these; without them each command takes half a second.
            .args(["-o", "Dir::Cache::pkgcache=pkgcache.bin", "-o", "Dir::Cache::srcpkgcache=srcpkgcache.bin"])
            .args(["-o", "Acquire::Languages=none", "-o", "APT::Sandbox::User=", "-o", &format!("Dir::Log={own}")])
            .args(arguments)
            .current_dir(at)
            .env("LC_ALL", "C")
            // Nobody else's is open to it.
            .env("TMPDIR", &self.directory)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ran = tokio::time::timeout(PATIENCE, command.output()).await;
        let done = match ran {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Err(format!("this machine has no {program}: {error}")),
            Err(_) => return Err(format!("{program} {} took too long", arguments[0])),
        };
        if done.status.success() {
            return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
        }
        let errors = String::from_utf8_lossy(&done.stderr);
        let said: Vec<&str> = errors.lines().filter(|line| line.starts_with("E:") || line.starts_with("W:")).collect();
        Err(format!("{program} {} on this machine: {}", arguments[0], said.join("; ")))
    }
}

fn opened(path: &Path) -> Result<Option<File>, String> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Puts a package that arrived in its place. Its time is the mirror's by then; from now on it is that of its arrival.
fn take_in(arrived: &Path, kept: &Path) -> io::Result<()> {
    let now = fs::FileTimes::new().set_modified(SystemTime::now());
    File::options().write(true).open(arrived)?.set_times(now)?;
    fs::rename(arrived, kept)
}

/// Removes what was fetched longest ago, as far as more than `most` bytes are kept; never what came last.
fn forget_old(directory: &Path, most: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let found = entry.metadata()?;
        if found.is_file() {
            files.push((found.modified()?, found.len(), entry.path()));
        }
    }
    files.sort();
    let mut all: u64 = files.iter().map(|(_, size, _)| size).sum();
    files.pop();
    for (_, size, path) in files {
        if all <= most {
            break;
        }
        fs::remove_file(path)?;
        all -= size;
    }
    Ok(())
}

fn is_fresh(path: &Path) -> bool {
    let modified = fs::metadata(path).and_then(|found| found.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age < FRESH))
}

/// The list's file, if it is one that the machine would install from unasked: of its own architecture, and of no release that says it is
/// not (backports, say).
fn chosen(line: &str, architecture: &str) -> Option<String> {
    let [file, release, of]: [&str; 3] = line.split('\t').collect::<Vec<_>>().try_into().ok()?;
    if of != architecture && of != "all" {
        return None;
    }
    let marker = format!("_dists_{}_", release.trim_matches('/').replace('/', "_"));
    if let Some(end) = file.rfind(&marker) {
        let stem = &file[..end + marker.len()];
        for name in ["InRelease", "Release"] {
            let text = fs::read_to_string(format!("{stem}{name}")).unwrap_or_default();
            if text.lines().any(|line| line.eq_ignore_ascii_case("NotAutomatic: yes")) {
                return None;
            }
        }
    }
    Some(file.to_owned())
}

/// Makes the index of these lists, in place of the one before.
fn make_index(directory: &Path, lists: &[String], architecture: &str) -> io::Result<Written> {
    let pending = |name: &str| directory.join(format!("{name}.new"));
    // It knows every form that lists are kept in.
    let mut reading = std::process::Command::new("/usr/lib/apt/apt-helper")
        .arg("cat-file")
        .args(lists)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let output = reading.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
    let packed = BufWriter::new(File::create(pending("Packages.gz"))?);
    let table = BufWriter::new(File::create(pending("table"))?);
    let written = index::write(BufReader::with_capacity(64 << 10, output), packed, table)?;
    if !reading.wait()?.success() || written.count == 0 {
        return Err(io::Error::other("the lists can't be read"));
    }
    let date = super::http_date(SystemTime::now()).replace("GMT", "UTC");
    fs::write(pending("Release"), index::release(&written, architecture, &date))?;
    // The release file last: it says what the others are.
    for name in ["table", "Packages.gz", "Release"] {
        fs::rename(pending(name), directory.join(name))?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_as_old_as_its_arrival_and_the_last_to_arrive_stays() {
        let at = std::env::temp_dir().join(format!("zonal-packages-{}", std::process::id()));
        let (arriving, packages) = (at.join("arriving"), at.join("packages"));
        fs::create_dir_all(&arriving).unwrap();
        fs::create_dir_all(&packages).unwrap();
        // The later one to arrive is the older one at the mirror.
        let mirrored = |name: &str, days: u64| {
            fs::write(arriving.join(name), [0; 1000]).unwrap();
            let time = SystemTime::now() - Duration::from_secs(days * 86_400);
            let file = File::options().write(true).open(arriving.join(name)).unwrap();
            file.set_times(fs::FileTimes::new().set_modified(time)).unwrap();
            take_in(&arriving.join(name), &packages.join(name)).unwrap();
        };
        let names = || {
            let mut names: Vec<_> = fs::read_dir(&packages).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        mirrored("a", 1);
        mirrored("b", 400);
        forget_old(&packages, 2000).unwrap();
        assert_eq!(names(), ["a", "b"]);
        forget_old(&packages, 1500).unwrap();
        assert_eq!(names(), ["b"]);
        forget_old(&packages, 0).unwrap();
        assert_eq!(names(), ["b"], "who asked for it is about to have it");
        fs::remove_dir_all(&at).unwrap();
    }
}
