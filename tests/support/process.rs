//! What a process has used, from Linux's `/proc`.

use std::time::Duration;

/// User and system time of the process's threads, and of its children that it has waited for.
pub fn cpu(id: u32) -> Duration {
    let fields = stat(id);
    let ticks = |index: usize| fields[index].parse::<u64>().expect("a number of ticks");
    // utime, stime, cutime and cstime, in hundredths of a second on every Linux in use.
    Duration::from_millis(10 * (11..15).map(ticks).sum::<u64>())
}

/// Whether it has ended and nobody has waited for it yet: its CPU time can still be read.
pub fn has_ended(id: u32) -> bool {
    stat(id)[0] == "Z"
}

/// A size of `/proc/PID/status` in bytes, such as `VmHWM`, the most that was ever resident; none of a process that has ended.
pub fn memory(id: u32, name: &str) -> Option<u64> {
    Some(number(id, name)? * 1024)
}

/// A number of `/proc/PID/status` as it stands there.
pub fn number(id: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    field(&status, name)
}

fn field(status: &str, name: &str) -> Option<u64> {
    let find = |line: &str| {
        let rest = line.strip_prefix(name)?.strip_prefix(':')?;
        rest.split_whitespace().next()?.parse().ok()
    };
    status.lines().find_map(find)
}

/// How often its threads have begun to wait for something, of those that there are.
pub fn waits(id: u32) -> u64 {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).expect("this needs Linux's /proc");
    let waits = |thread: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(thread.ok()?.path().join("status")).ok()?;
        field(&status, "voluntary_ctxt_switches")
    };
    threads.filter_map(waits).sum()
}

/// The CPU time of this process so far.
pub fn own_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32)
}

/// The fields of `/proc/PID/stat` behind the program's name, beginning with its state.
fn stat(id: u32) -> Vec<String> {
    let text =
        std::fs::read_to_string(format!("/proc/{id}/stat")).expect("this needs Linux's /proc");
    let (_, fields) = text.rsplit_once(") ").expect("a name in parentheses");
    fields.split(' ').map(str::to_owned).collect()
}
