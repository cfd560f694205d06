//! How many bytes the pipeline may hold: set outright, or a share of the memory the process may use.

use std::fs;
use std::path::{Path, PathBuf};

use super::settings::Memory;

/// The memory of this machine cannot be told.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot tell how much memory this process may use from {file}: {reason}; set memory.max-size"
)]
pub struct MemoryUnknown {
    file: String,
    reason: String,
}

/// The byte budget of the whole process.
///
/// `memory.max-size` if it is set; otherwise `memory.heap-ratio` of physical memory or of the control
/// group's limit (version 1 or 2, this group's or any group's above), whichever is least.
///
/// `root` is where `proc` and `sys` are found: `/`, except in tests.
///
/// # Errors
/// [`MemoryUnknown`] if it is not set and `proc/meminfo` cannot be read, as on systems other than Linux.
pub fn budget(memory: &Memory, root: &Path) -> Result<u64, MemoryUnknown> {
    if let Some(bytes) = memory.max_size {
        return Ok(bytes);
    }
    let usable = group_limits(root)
        .into_iter()
        .fold(physical(root)?, u64::min);
    // Float precision is ample for a share.
    Ok((usable as f64 * memory.heap_ratio) as u64)
}

/// `MemTotal` of `proc/meminfo`, which the kernel gives in units of 1024 bytes.
fn physical(root: &Path) -> Result<u64, MemoryUnknown> {
    let path = root.join("proc/meminfo");
    let unknown = |reason: String| MemoryUnknown {
        file: path.display().to_string(),
        reason,
    };
    let text = fs::read_to_string(&path).map_err(|error| unknown(error.to_string()))?;
    text.lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| {
            rest.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()
        })
        .and_then(|kilobytes| kilobytes.checked_mul(1024))
        .ok_or_else(|| unknown("no line \"MemTotal: … kB\"".into()))
}

/// The limits of every control group this process is in. A group without a limit gives none.
fn group_limits(root: &Path) -> Vec<u64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let mut limits = Vec::new();
    for line in groups.lines() {
        // "0::/path" is version 2; "9:memory:/path" version 1.
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (mount, file) = if controllers.is_empty() {
            ("sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        limits.extend(
            ancestors(&root.join(mount), path)
                .iter()
                .filter_map(|group| {
                    fs::read_to_string(group.join(file))
                        .ok()?
                        .trim()
                        .parse::<u64>()
                        .ok()
                }),
        );
    }
    limits
}

/// The group at `path` and all above it, up to the mount. In a container the path may be the host's, whose
/// groups do not exist here; then only the mount itself, the container's own group, is found.
fn ancestors(mount: &Path, path: &str) -> Vec<PathBuf> {
    let mut group = mount.to_path_buf();
    let mut groups = vec![group.clone()];
    for name in path
        .split('/')
        .filter(|name| !name.is_empty() && *name != "..")
    {
        group.push(name);
        groups.push(group.clone());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    /// A file system root with these files in it.
    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn half(files: &[(&str, &str)]) -> Result<u64, MemoryUnknown> {
        budget(
            &Memory {
                max_size: None,
                heap_ratio: 0.5,
            },
            root(files).path(),
        )
    }

    const EIGHT: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:        8388608 kB\nMemFree:  17 kB\n",
    );

    #[test]
    fn a_share_of_physical_memory_without_control_groups() {
        assert_eq!(half(&[EIGHT]).unwrap(), 4 * GB);
    }

    #[test]
    fn a_limit_of_version_2_counts_wherever_it_is_set() {
        let group = ("proc/self/cgroup", "0::/a/b\n");
        for file in [
            "sys/fs/cgroup/memory.max",
            "sys/fs/cgroup/a/memory.max",
            "sys/fs/cgroup/a/b/memory.max",
        ] {
            assert_eq!(
                half(&[EIGHT, group, (file, "2147483648\n")]).unwrap(),
                GB,
                "{file}"
            );
        }
        let unlimited = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(half(&[EIGHT, group, unlimited]).unwrap(), 4 * GB);
    }

    #[test]
    fn a_limit_of_version_1_counts() {
        let files = [
            EIGHT,
            ("proc/self/cgroup", "12:cpu,cpuacct:/d/x\n9:memory:/d/x\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            (
                "sys/fs/cgroup/memory/d/x/memory.limit_in_bytes",
                "1073741824\n",
            ),
        ];
        assert_eq!(half(&files).unwrap(), GB / 2);
    }

    #[test]
    fn a_path_of_the_host_falls_back_to_the_containers_own_group() {
        let files = [
            EIGHT,
            (
                "proc/self/cgroup",
                "0::/../../system.slice/docker-1.scope\n",
            ),
            ("sys/fs/cgroup/memory.max", "1073741824\n"),
        ];
        assert_eq!(half(&files).unwrap(), GB / 2);
    }

    #[test]
    fn a_limit_above_physical_memory_does_not_raise_it() {
        let files = [
            EIGHT,
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "1099511627776"),
        ];
        assert_eq!(half(&files).unwrap(), 4 * GB);
    }

    #[test]
    fn the_outright_size_needs_no_look_at_the_machine() {
        let memory = Memory {
            max_size: Some(77),
            heap_ratio: 0.5,
        };
        assert_eq!(budget(&memory, Path::new("/nowhere")).unwrap(), 77);
    }

    #[test]
    fn an_unreadable_machine_says_what_to_set() {
        for files in [&[][..], &[("proc/meminfo", "Something: 3 kB\n")][..]] {
            let message = half(files).unwrap_err().to_string();
            assert!(message.ends_with("set memory.max-size"), "{message}");
        }
    }
}
