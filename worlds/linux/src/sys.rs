//! System calls that have no safe wrapper elsewhere, each made safe here.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// Turns a system call's answer into a result.
fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt;
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// What [`fork_into`] came back as.
pub(crate) enum Forked {
    /// The caller: the child's process id.
    Parent(libc::pid_t),
    /// The new process.
    Child,
}

/// Forks into new namespaces (`CLONE_NEW…` flags).
///
/// The caller must be the only thread of its process: the child is a copy with that thread alone, and another thread's locks
/// would stay taken in it for ever.
pub(crate) fn fork_into(flags: libc::c_int) -> io::Result<Forked> {
    let mut arguments = [0_u64; 11];
    arguments[0] = u64::from(flags.cast_unsigned());
    arguments[4] = u64::from(libc::SIGCHLD.cast_unsigned());
    // SAFETY: clone3 without CLONE_VM and without a stack is fork: the child gets a copy of this address space and returns
    // here on a copy of this stack. The structure outlives the call, and its size is given.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) })?;
    if pid == 0 { Ok(Forked::Child) } else { Ok(Forked::Parent(i32::try_from(pid).unwrap_or(-1))) }
}

/// Ends this process at once, running no destructor: for a forked child, whose destructors belong to its parent.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit only ends the process.
    unsafe { libc::_exit(code) }
}

/// A handle on a process, readable once it has ended.
pub(crate) fn pidfd(pid: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers, and returns a new descriptor that nobody else owns.
    let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: as said above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sends a signal through a process handle: never to a later process with the same number.
pub(crate) fn pidfd_kill(process: BorrowedFd<'_>, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: takes integers and a null pointer, which means no further information.
    check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    })
    .map(drop)
}

/// Closes every descriptor from `first` on.
///
/// Only for a process just forked that leaves everything above by exec or by [`exit_now`]: owners of these descriptors in
/// this address space are not told.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: takes integers. That owners are not told is the caller's affair, as documented.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) }).map(drop)
}

/// Copies a descriptor to a number not below `least`, closed on exec.
pub(crate) fn copy_above(fd: BorrowedFd<'_>, least: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes integers, and returns a new descriptor that nobody else owns.
    let fd = check(libc::c_long::from(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) }))?;
    // SAFETY: as said above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Puts a copy of a descriptor at a fixed number, open across exec.
pub(crate) fn place_fd(fd: BorrowedFd<'_>, at: RawFd) -> io::Result<()> {
    // SAFETY: takes two integers; `at` is chosen by a process just forked, for whose future it stands.
    check(libc::c_long::from(unsafe { libc::dup2(fd.as_raw_fd(), at) })).map(drop)
}

/// Takes ownership of a descriptor that the process was started with.
pub(crate) fn inherited(fd: RawFd) -> OwnedFd {
    // SAFETY: the caller placed it there with [`place_fd`] in the same program, and calls this once.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A detached copy of the mount at `path`.
pub(crate) fn open_tree(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    const OPEN_TREE_CLONE: libc::c_uint = 1;
    let flags = OPEN_TREE_CLONE | (libc::O_CLOEXEC as libc::c_uint);
    // SAFETY: the path is a live C string; the answer is a new descriptor that nobody else owns.
    let fd = check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    // SAFETY: as said above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Shows the files of a detached mount with their owners mapped by a user namespace, and read-only.
pub(crate) fn map_owners(tree: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> io::Result<()> {
    const MOUNT_ATTR_RDONLY: u64 = 0x1;
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let attributes = MountAttributes {
        set: MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY,
        clear: 0,
        propagation: 0,
        user_namespace: user_namespace.as_raw_fd() as u64,
    };
    // SAFETY: the empty path and the structure outlive the call, whose size is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    })
    .map(drop)
}

/// Attaches a detached mount at `path`.
pub(crate) fn attach(tree: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;
    // SAFETY: both paths are live C strings.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            path.as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Takes a capability out of what this process and its children can ever have.
pub(crate) fn drop_capability(capability: u32) -> io::Result<()> {
    // SAFETY: takes integers.
    check(libc::c_long::from(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) }))
        .map(drop)
}

/// Keeps only these capabilities (a bit each), effective and permitted.
pub(crate) fn set_capabilities(mask: u64) -> io::Result<()> {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let (low, high) = (mask as u32, (mask >> 32) as u32);
    let sets = [low, low, 0, high, high, 0];
    // SAFETY: header and sets have the layout that version 3 asks for, and outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) }).map(drop)
}

/// Filters the system calls of this process and all its children by a classic BPF program.
pub(crate) fn install_filter(program: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, which outlives the call, and never writes to it.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) }).map(drop)
}

/// The mark by which a directory of an overlay's layer hides what is below it: root's overlays have another than those of user
/// namespaces (mount option `userxattr`).
pub(crate) fn opaque(user: bool) -> &'static std::ffi::CStr {
    if user { c"user.overlay.opaque" } else { c"trusted.overlay.opaque" }
}

/// Whether a directory of an overlay's layer has a mark.
pub(crate) fn is_opaque(directory: BorrowedFd<'_>, mark: &std::ffi::CStr) -> bool {
    let mut value = [0_u8; 1];
    // SAFETY: the name is a live C string, and the buffer's size is given.
    let got = unsafe { libc::fgetxattr(directory.as_raw_fd(), mark.as_ptr(), value.as_mut_ptr().cast(), 1) };
    got == 1 && value[0] == b'y'
}

/// Gives a directory of an overlay's layer a mark.
pub(crate) fn set_opaque(path: &Path, mark: &std::ffi::CStr) -> io::Result<()> {
    let path = c_path(path)?;
    // SAFETY: both names are live C strings, and the value's size is given.
    check(libc::c_long::from(unsafe { libc::lsetxattr(path.as_ptr(), mark.as_ptr(), c"y".as_ptr().cast(), 1, 0) }))
        .map(drop)
}

/// Has a descriptor closed on exec.
pub(crate) fn close_on_exec(fd: RawFd) -> io::Result<()> {
    // SAFETY: takes integers.
    check(libc::c_long::from(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })).map(drop)
}

/// Makes an unbound socket of an address family in this thread's network namespace.
pub(crate) fn socket(family: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes integers, and returns a new descriptor that nobody else owns.
    let fd = check(libc::c_long::from(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) }))?;
    // SAFETY: as said above.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Sets an integer socket option.
pub(crate) fn set_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the value outlives the call, and its size is given.
    check(libc::c_long::from(unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size_of::<libc::c_int>() as u32)
    }))
    .map(drop)
}

/// Where a redirected connection wanted to go (`SO_ORIGINAL_DST`).
pub(crate) fn original_destination(socket: BorrowedFd<'_>) -> io::Result<std::net::SocketAddrV4> {
    const SO_ORIGINAL_DST: libc::c_int = 80;
    let mut address =
        libc::sockaddr_in { sin_family: 0, sin_port: 0, sin_addr: libc::in_addr { s_addr: 0 }, sin_zero: [0; 8] };
    let mut length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: address and length are live and of the sizes given.
    check(libc::c_long::from(unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_IP, SO_ORIGINAL_DST, (&raw mut address).cast(), &raw mut length)
    }))?;
    Ok(std::net::SocketAddrV4::new(u32::from_be(address.sin_addr.s_addr).into(), u16::from_be(address.sin_port)))
}

/// Runs `act` in another network namespace: on a thread of its own, which ends there. Who is root of a user namespace only could not
/// come back to the machine's network; and no thread is ever left in the wrong place.
pub(crate) fn in_network<T: Send>(namespace: BorrowedFd<'_>, act: impl FnOnce() -> T + Send) -> io::Result<T> {
    use nix::sched::{CloneFlags, setns};
    std::thread::scope(|scope| {
        let there = std::thread::Builder::new().name("inside".to_owned()).spawn_scoped(scope, || {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            Ok(act())
        })?;
        there.join().unwrap_or_else(|_| Err(io::Error::other("panicked inside a network namespace")))
    })
}
