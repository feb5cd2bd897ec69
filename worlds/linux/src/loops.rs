//! Loop devices: files shown as block devices. The system calls that have no safe wrapper elsewhere, each made safe here, and the rules by
//! which a world takes devices and gives them back.

use crate::error::{Act, Error, Result};
use crate::world::Config;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const SET_UP: libc::Ioctl = 0x4C0A;
const STATUS: libc::Ioctl = 0x4C05;
const REMOVE: libc::Ioctl = 0x4C81;
const GET_FREE: libc::Ioctl = 0x4C82;
/// The device lets go of its file when it was closed and unmounted for the last time.
const AUTOCLEAR: u32 = 4;
/// As the file systems on them.
const BLOCK: u32 = 4096;
/// How many devices a kernel has of itself, unless it says otherwise.
const USUAL: u32 = 8;
/// How often another's taking of the same device is put up with.
const ATTEMPTS: u32 = 200;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encryption: u32,
    key_size: u32,
    flags: u32,
    name: [u8; 64],
    encryption_name: [u8; 64],
    key: [u8; 32],
    init: [u64; 2],
}

impl Info {
    const NONE: Self = Self {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number: 0,
        encryption: 0,
        key_size: 0,
        flags: 0,
        name: [0; 64],
        encryption_name: [0; 64],
        key: [0; 32],
        init: [0; 2],
    };
}

/// `struct loop_config`.
#[repr(C)]
struct Setup {
    fd: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

fn path(number: u32) -> PathBuf {
    PathBuf::from(format!("/dev/loop{number}"))
}

fn open(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// Shows a file as a block device, under the world's name: the device's path, and the handle that keeps it until it is mounted.
pub(crate) fn attach(config: &Config, file: &File) -> Result<(PathBuf, File)> {
    let control = control().act("open", "/dev/loop-control")?;
    let mut setup =
        Setup { fd: file.as_raw_fd().cast_unsigned(), block_size: BLOCK, info: Info::NONE, reserved: [0; 8] };
    setup.info.flags = AUTOCLEAR;
    let tag = config.cgroup();
    let length = tag.len().min(setup.info.name.len() - 1);
    setup.info.name[..length].copy_from_slice(&tag.as_bytes()[..length]);
    let mut last = io::Error::from(io::ErrorKind::ResourceBusy);
    for _ in 0..ATTEMPTS {
        // SAFETY: takes no argument.
        let number = unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE) };
        let Ok(number) = u32::try_from(number) else {
            return Err(io::Error::last_os_error()).act("find", "a free loop device");
        };
        let at = path(number);
        let taken = open(&at).and_then(|device| {
            // SAFETY: the structure has the layout that the kernel asks for, and outlives the call.
            let answer = unsafe { libc::ioctl(device.as_raw_fd(), SET_UP, &raw const setup) };
            if answer == 0 { Ok(device) } else { Err(io::Error::last_os_error()) }
        });
        match taken {
            Ok(device) => {
                note(config, number)?;
                if let (Some(bound), Ok(found)) = (bound().get_mut(&tag), file.metadata()) {
                    bound.insert(found.ino(), number);
                }
                return Ok((at, device));
            }
            // Another took it between the two calls, or took it away.
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENXIO | libc::ENODEV | libc::ENOENT)) =>
            {
                last = error;
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(error) => return Err(error).act("set up", at.display()),
        }
    }
    Err(last).act("take", "a loop device")
}

fn control() -> io::Result<File> {
    open(std::path::Path::new("/dev/loop-control"))
}

/// Whose name a bound device has, and its file's inode.
fn status(number: u32) -> Option<(String, u64)> {
    let device = File::open(path(number)).ok()?;
    let mut info = Info::NONE;
    // SAFETY: the kernel writes one such structure, which outlives the call.
    if unsafe { libc::ioctl(device.as_raw_fd(), STATUS, &raw mut info) } != 0 {
        return None;
    }
    let end = info.name.iter().position(|byte| *byte == 0).unwrap_or(info.name.len());
    Some((String::from_utf8_lossy(&info.name[..end]).into_owned(), info.inode))
}

/// Which device shows which file (by its inode), of each world that this process has asked about: as the devices told once, and as it has
/// bound more since. One that let go of its file is still in here; one that is not has none.
fn bound() -> MutexGuard<'static, BTreeMap<String, BTreeMap<u64, u32>>> {
    static BOUND: Mutex<BTreeMap<String, BTreeMap<u64, u32>>> = Mutex::new(BTreeMap::new());
    BOUND.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a device of this world shows a file. Nobody binds one meanwhile but this process.
fn shows(config: &Config, inode: u64) -> bool {
    let tag = config.cgroup();
    let of = |number: u32| status(number).filter(|(name, _)| *name == tag).map(|(_, inode)| (inode, number));
    let mut all = bound();
    let own = all.entry(tag.clone()).or_insert_with(|| noted(config).into_iter().filter_map(of).collect());
    own.get(&inode).is_some_and(|number| of(*number).is_some_and(|(shown, _)| shown == inode))
}

/// The inodes that devices of this world show.
fn shown(config: &Config) -> BTreeSet<u64> {
    let tag = config.cgroup();
    let of = |number: &u32| status(*number).filter(|(name, _)| *name == tag).map(|(_, inode)| inode);
    noted(config).iter().filter_map(of).collect()
}

/// Waits until no device of this world shows any of its files, or not this one: its last mount ends a moment after its last process.
pub(crate) fn await_release(config: &Config, inode: Option<u64>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let in_use = match inode {
            Some(inode) => usize::from(shows(config, inode)),
            None => shown(config).len(),
        };
        if in_use == 0 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::Refused(format!(
                "{in_use} loop devices of this world are in use still after 20 s: something on this machine has its disks mounted \
                 or open (`losetup -l` shows them); `zonal down` again once it has not"
            )));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Takes the devices away that the kernel made for this world, once none is in use any more.
pub(crate) fn remove_made(config: &Config) {
    let Ok(control) = control() else { return };
    let text = fs::read_to_string("/sys/module/loop/parameters/max_loop").unwrap_or_default();
    let own = text.trim().parse::<u32>().ok().filter(|count| *count > 0).unwrap_or(USUAL);
    let made: Vec<u32> = noted(config).into_iter().filter(|number| *number >= own).collect();
    // The kernel takes its time over each, and over many at once no more of it.
    std::thread::scope(|scope| {
        for some in made.chunks(made.len().div_ceil(32).max(1)) {
            let control = &control;
            scope.spawn(move || {
                for number in some {
                    // SAFETY: takes an integer. One that is in use, by another world say, is refused.
                    unsafe { libc::ioctl(control.as_raw_fd(), REMOVE, libc::c_long::from(*number)) };
                }
            });
        }
    });
    let _ = fs::remove_file(config.loops());
}

/// Notes that this world has had a device: how many it will take can't be known, and no number is told twice.
fn note(config: &Config, number: u32) -> Result<()> {
    let file = config.loops();
    if noted(config).contains(&number) {
        return Ok(());
    }
    let mut open = OpenOptions::new().create(true).append(true).open(&file).act("open", file.display())?;
    open.write_all(format!("{number}\n").as_bytes()).act("write", file.display())
}

fn noted(config: &Config) -> BTreeSet<u32> {
    let text = fs::read_to_string(config.loops()).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Has an ext4 file system write nothing any more: what is on it is about to be thrown away.
pub(crate) fn shut_down(inside: BorrowedFd<'_>) -> io::Result<()> {
    // _IOR('X', 125, u32)
    const SHUT_DOWN: libc::Ioctl = 0x8004_587D_u32 as libc::Ioctl;
    let without_flush: u32 = 2;
    // SAFETY: the kernel reads one integer, which outlives the call.
    let answer = unsafe { libc::ioctl(inside.as_raw_fd(), SHUT_DOWN, &raw const without_flush) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
