//! What those inside a sandbox can never do: capabilities taken away for good, and system calls that are refused.

use crate::error::{Act, Result};
use crate::sys;

/// Capabilities that nobody in a sandbox ever has, PID 1 included: of the machine, not of an instance.
const NEVER: &[u32] = &[
    9,  // LINUX_IMMUTABLE
    11, // NET_BROADCAST
    12, // NET_ADMIN
    16, // SYS_MODULE
    17, // SYS_RAWIO
    20, // SYS_PACCT
    22, // SYS_BOOT
    25, // SYS_TIME
    30, // AUDIT_CONTROL
    32, // MAC_OVERRIDE
    33, // MAC_ADMIN
    34, // SYSLOG
    35, // WAKE_ALARM
    36, // BLOCK_SUSPEND
    37, // AUDIT_READ
    38, // PERFMON
    39, // BPF
    40, // CHECKPOINT_RESTORE
];
/// `SYS_ADMIN`: PID 1 alone has it.
const SYS_ADMIN: u32 = 21;

/// System calls that reach into the kernel further than an instance's programs need.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_name_to_handle_at,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// The kinds of sockets that programs of an instance have. Others are bound by no network namespace (`AF_VSOCK`), or have the kernel load
/// what nobody here needs (`AF_ALG`, `AF_TIPC`, `AF_RDS`).
const FAMILIES: &[libc::c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// Confines this process, PID 1 of a sandbox, already inside its user namespace.
pub(crate) fn first_process() -> Result<()> {
    sys::install_filter(&filter()).act("install", "the system call filter")?;
    for capability in NEVER {
        sys::drop_capability(*capability).act("drop capability", capability)?;
    }
    let kept = NEVER.iter().fold(u64::MAX >> 23, |mask, capability| mask & !(1 << capability));
    sys::set_capabilities(kept).act("keep only", "a sandbox's capabilities")
}

/// Confines a child of PID 1 further, before it runs a program.
pub(crate) fn program() -> std::io::Result<()> {
    sys::drop_capability(SYS_ADMIN)
}

/// The filter: refuse what is listed, refuse sockets of other families, refuse new user namespaces, refuse other instruction sets, allow the rest.
fn filter() -> Vec<libc::sock_filter> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const ANY_BIT: u16 = 0x45; // BPF_JMP | BPF_JSET | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const NUMBER: u32 = 0; // offsets in seccomp_data
    const ARCH: u32 = 4;
    const FIRST_ARGUMENT: u32 = 16;
    let op = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let refuse = |errno: i32| op(RETURN, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(), 0, 0);
    let call = |number: libc::c_long| u32::try_from(number).unwrap_or(u32::MAX);
    let mut program = vec![
        op(LOAD, ARCH, 0, 0),
        op(EQUAL, ARCHITECTURE, 1, 0),
        refuse(libc::ENOSYS),
        op(LOAD, NUMBER, 0, 0),
        // The x32 calls of x86-64 have this bit; other machines have no calls that high.
        op(AT_LEAST, 0x4000_0000, 0, 1),
        refuse(libc::ENOSYS),
        // Its flags are behind a pointer, where a filter can't look; the C library falls back to clone.
        op(EQUAL, call(libc::SYS_clone3), 0, 1),
        refuse(libc::ENOSYS),
    ];
    for number in REFUSED {
        program.push(op(EQUAL, call(*number), 0, 1));
        program.push(refuse(libc::EPERM));
    }
    let families = u8::try_from(FAMILIES.len()).unwrap_or(u8::MAX);
    for number in [libc::SYS_socket, libc::SYS_socketpair] {
        program.push(op(EQUAL, call(number), 0, families + 3));
        program.push(op(LOAD, FIRST_ARGUMENT, 0, 0));
        for (left, family) in (1..=families).rev().zip(FAMILIES) {
            program.push(op(EQUAL, family.cast_unsigned(), left, 0));
        }
        program.push(refuse(libc::EAFNOSUPPORT));
        program.push(op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    }
    for number in [libc::SYS_clone, libc::SYS_unshare] {
        program.push(op(EQUAL, call(number), 0, 4));
        program.push(op(LOAD, FIRST_ARGUMENT, 0, 0));
        program.push(op(ANY_BIT, libc::CLONE_NEWUSER.cast_unsigned(), 0, 1));
        program.push(refuse(libc::EPERM));
        program.push(op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    }
    program.push(op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    program
}
