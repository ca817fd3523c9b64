//! The runner's own figures: its API calls, and what it used of the machine (ST-67…ST-77). Counts; never decides.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kexec_api::work::RunnerMetrics;
use rustix::time::{ClockId, clock_gettime};

use crate::server::Reply;
use crate::step::millis;

/// Figures of the API calls.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CallFigures {
    /// Calls made.
    pub calls: u32,
    /// Calls answered with an error or not at all.
    pub failed: u32,
    /// Calls that ran into their time-out.
    pub timed_out: u32,
    total: Duration,
    slowest: Duration,
    fastest: Option<Duration>,
}

impl CallFigures {
    /// Counts one call that took `took` and ended with `reply`.
    pub fn record(&mut self, took: Duration, reply: &Reply) {
        let (failed, timed_out) = match reply {
            Reply::Answered(answer) => (answer.code >= 400, false),
            Reply::NotSent(_) => (true, false),
            Reply::NoAnswer { timed_out, .. } => (true, *timed_out),
        };
        self.calls = self.calls.saturating_add(1);
        self.failed = self.failed.saturating_add(failed.into());
        self.timed_out = self.timed_out.saturating_add(timed_out.into());
        self.total = self.total.saturating_add(took);
        self.slowest = self.slowest.max(took);
        self.fastest = Some(self.fastest.map_or(took, |fastest| fastest.min(took)));
    }
}

/// What the process uses, from its start.
#[derive(Debug)]
pub struct Meter {
    /// Where `/proc` and `/sys` are.
    root: PathBuf,
    /// True when cgroup and network namespace are this process's own.
    alone: bool,
    network_at_start: Option<u64>,
}

impl Meter {
    /// Begins to measure. The first process of its PID namespace has a container to itself; any other shares cgroup
    /// and network with strangers, so only its own figures count and the network's cannot be told.
    #[must_use]
    pub fn start() -> Self {
        Self::under(Path::new("/"), std::process::id() == 1)
    }

    fn under(root: &Path, alone: bool) -> Self {
        Self {
            root: root.to_owned(),
            alone,
            network_at_start: network_bytes(root),
        }
    }

    /// The figures so far, with those of the API calls and the wall time.
    #[must_use]
    pub fn read(&self, calls: &CallFigures, wall: Duration) -> RunnerMetrics {
        RunnerMetrics {
            calls: calls.calls,
            failed_calls: calls.failed,
            timed_out_calls: calls.timed_out,
            total_millis: millis(calls.total),
            slowest_millis: millis(calls.slowest),
            fastest_millis: millis(calls.fastest.unwrap_or_default()),
            cpu_millis: self.cpu().map(millis),
            wall_millis: Some(millis(wall)),
            peak_memory_bytes: self.peak_memory(),
            network_bytes: self.network(),
        }
    }

    fn cpu(&self) -> Option<Duration> {
        self.own_cgroup(|root| {
            let micros = || keyed(&text(root, "sys/fs/cgroup/cpu.stat")?, "usage_usec");
            let nanos = || {
                text(root, "sys/fs/cgroup/cpuacct/cpuacct.usage")?
                    .trim()
                    .parse()
                    .ok()
            };
            micros()
                .map(Duration::from_micros)
                .or_else(|| nanos().map(Duration::from_nanos))
        })
        .or_else(|| Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok())
    }

    fn peak_memory(&self) -> Option<u64> {
        self.own_cgroup(|root| {
            [
                "sys/fs/cgroup/memory.peak",
                "sys/fs/cgroup/memory/memory.max_usage_in_bytes",
            ]
            .into_iter()
            .find_map(|path| text(root, path)?.trim().parse().ok())
        })
        .or_else(|| {
            let kibibytes = keyed(&text(&self.root, "proc/self/status")?, "VmHWM:")?;
            kibibytes.checked_mul(1024)
        })
    }

    fn network(&self) -> Option<u64> {
        let begin = self.network_at_start.filter(|_| self.alone)?;
        network_bytes(&self.root)?.checked_sub(begin)
    }

    fn own_cgroup<T>(&self, read: impl FnOnce(&Path) -> Option<T>) -> Option<T> {
        self.alone.then(|| read(&self.root)).flatten()
    }
}

fn text(root: &Path, path: &str) -> Option<String> {
    fs::read_to_string(root.join(path)).ok()
}

/// The number after `key` at the start of a line.
fn keyed(content: &str, key: &str) -> Option<u64> {
    content.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == key)
            .then(|| words.next()?.parse().ok())
            .flatten()
    })
}

/// Bytes received and sent on all interfaces but the loopback.
fn network_bytes(root: &Path) -> Option<u64> {
    let mut sum = 0_u64;
    for line in text(root, "proc/self/net/dev")?.lines() {
        let Some((interface, figures)) = line.split_once(':') else {
            continue;
        };
        if interface.trim() == "lo" {
            continue;
        }
        let figures: Vec<u64> = figures
            .split_whitespace()
            .filter_map(|figure| figure.parse().ok())
            .collect();
        let (received, sent) = (figures.first()?, figures.get(8)?);
        sum = sum.saturating_add(*received).saturating_add(*sent);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::server::Answer;

    fn answered(code: u16) -> Reply {
        Reply::Answered(Answer {
            code,
            retry_after: None,
            body: vec![],
        })
    }

    /// A root directory with these files.
    fn root(files: &[(&str, &str)]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        directory
    }

    const NET: &str = "Inter-|   Receive                                                |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed\n    lo:    9000 1 0 0 0 0 0 0 9000 1 0 0 0 0 0 0\n  eth0:    1000 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n";

    #[test]
    fn calls_are_counted_with_their_times() {
        let mut figures = CallFigures::default();
        figures.record(Duration::from_millis(30), &answered(200));
        figures.record(Duration::from_millis(10), &answered(409));
        figures.record(
            Duration::from_secs(5),
            &Reply::NoAnswer {
                why: String::new(),
                timed_out: true,
            },
        );
        let metrics = Meter::start().read(&figures, Duration::from_secs(6));
        assert_eq!(
            (metrics.calls, metrics.failed_calls, metrics.timed_out_calls),
            (3, 2, 1)
        );
        let times = (
            metrics.total_millis,
            metrics.slowest_millis,
            metrics.fastest_millis,
        );
        assert_eq!(times, (5040, 5000, 10));
        assert_eq!(metrics.wall_millis, Some(6000));
    }

    #[test]
    fn a_container_of_its_own_is_measured_by_its_cgroup_and_network() {
        let root = root(&[
            ("sys/fs/cgroup/cpu.stat", "usage_usec 123456\nuser_usec 1\n"),
            ("sys/fs/cgroup/memory.peak", "7340032\n"),
            ("proc/self/net/dev", NET),
        ]);
        let meter = Meter::under(root.path(), true);
        fs::write(
            root.path().join("proc/self/net/dev"),
            NET.replace("1000", "1700").replace("9000", "9999"),
        )
        .unwrap();
        let metrics = meter.read(&CallFigures::default(), Duration::ZERO);
        assert_eq!(
            (metrics.cpu_millis, metrics.peak_memory_bytes),
            (Some(123), Some(7_340_032))
        );
        assert_eq!(metrics.network_bytes, Some(700));
    }

    #[test]
    fn the_older_cgroups_are_read_too() {
        let root = root(&[
            ("sys/fs/cgroup/cpuacct/cpuacct.usage", "5000000\n"),
            ("sys/fs/cgroup/memory/memory.max_usage_in_bytes", "4096\n"),
        ]);
        let metrics = Meter::under(root.path(), true).read(&CallFigures::default(), Duration::ZERO);
        assert_eq!(
            (metrics.cpu_millis, metrics.peak_memory_bytes),
            (Some(5), Some(4096))
        );
    }

    #[test]
    fn a_process_among_others_counts_only_itself_and_no_network() {
        let root = root(&[
            ("sys/fs/cgroup/cpu.stat", "usage_usec 99000000000\n"),
            ("sys/fs/cgroup/memory.peak", "99000000000\n"),
            ("proc/self/status", "Name:\trunner\nVmHWM:\t    2048 kB\n"),
            ("proc/self/net/dev", NET),
        ]);
        let metrics =
            Meter::under(root.path(), false).read(&CallFigures::default(), Duration::ZERO);
        assert_eq!(metrics.peak_memory_bytes, Some(2048 * 1024));
        assert!(metrics.cpu_millis.unwrap() < 99_000_000);
        assert_eq!(metrics.network_bytes, None);
    }

    #[test]
    fn what_cannot_be_measured_is_left_out() {
        let metrics =
            Meter::under(root(&[]).path(), true).read(&CallFigures::default(), Duration::ZERO);
        assert_eq!(
            (metrics.peak_memory_bytes, metrics.network_bytes),
            (None, None)
        );
    }
}
