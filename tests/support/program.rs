//! The program under test as a process: started, signalled, awaited, looked at from outside.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use super::config::Config;
use super::process;
use super::service::{read_log, signal};
use super::{eventually, seconds};

fn command() -> Command {
    // Long runs want the release build.
    let program = std::env::var_os("CHAOS_PROGRAM");
    command_of(&program.unwrap_or_else(|| env!("CARGO_BIN_EXE_alluvium").into()))
}

/// A program to be started with no other settings than those it is given.
pub fn command_of(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    // The tests' own variables must not configure the program.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ALLUVIUM_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end; for runs that take no more than seconds.
pub fn alluvium(arguments: &[&str]) -> Output {
    alluvium_with(arguments, &[])
}

/// As [`alluvium`], with environment variables.
pub fn alluvium_with(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    command()
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// As [`alluvium`], of the program at a path.
pub fn alluvium_at(program: &OsStr, arguments: &[&str]) -> Output {
    command_of(program).args(arguments).output().unwrap()
}

/// Standard error of a finished run.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A running `alluvium run`; killed when dropped.
pub struct Program {
    process: Child,
    log: PathBuf,
    admin: u16,
}

impl Program {
    /// `alluvium run --config ...` for as long as it is wanted.
    pub fn start(config: &Config) -> Self {
        Self::start_with(config, &[])
    }

    /// As [`Program::start`], with more arguments.
    pub fn start_with(config: &Config, arguments: &[&str]) -> Self {
        Self::start_in(config, arguments, &[])
    }

    /// As [`Program::start_with`], with environment variables.
    pub fn start_in(config: &Config, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_command(command(), config, arguments, environment)
    }

    /// As [`Program::start`], of the program at a path.
    pub fn start_at(program: &OsStr, config: &Config, arguments: &[&str]) -> Self {
        Self::start_command(command_of(program), config, arguments, &[])
    }

    fn start_command(
        mut command: Command,
        config: &Config,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let file = config.write();
        let log = file.with_extension("log");
        let stderr = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let process = command
            .args(["run", "--config", &file.display().to_string()])
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Self {
            process,
            log,
            admin: config.admin,
        }
    }

    /// Runs until the topic's end, which must succeed within `limit`.
    pub fn until_end(config: &Config, limit: Duration) -> String {
        let mut program = Self::start_with(config, &["--until-end"]);
        let code = program.wait(limit);
        assert_eq!(code, 0, "run --until-end failed; log:\n{}", program.log());
        program.log()
    }

    /// What those have said that were started with such a configuration.
    pub fn said(config: &Config) -> String {
        read_log(&config.write().with_extension("log"))
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn log(&self) -> String {
        read_log(&self.log)
    }

    pub fn signal(&self, name: &str) {
        signal(&self.process.id().to_string(), name);
    }

    /// Waits for the end and gives the exit code; a process that a signal ended has none, shown as -1.
    pub fn wait(&mut self, limit: Duration) -> i32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(
                start.elapsed() < limit,
                "still running after {limit:?}; log:\n{}",
                tail(&self.log())
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM, and the clean exit that must follow.
    pub fn stop(&mut self) {
        self.signal("TERM");
        let code = self.wait(seconds(120));
        assert_eq!(
            code,
            0,
            "SIGTERM must end with exit 0; log:\n{}",
            tail(&self.log())
        );
    }

    pub fn kill(&mut self) {
        self.signal("KILL");
        let _ = self.process.wait();
    }

    pub fn is_running(&mut self) -> bool {
        self.status().is_none()
    }

    /// How the process has ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().unwrap()
    }

    /// A size of `/proc/PID/status` in bytes, such as `VmHWM`, the most memory that was ever resident.
    pub fn memory(&self, name: &str) -> u64 {
        process::memory(self.id(), name).unwrap_or_else(|| panic!("no {name} of the program"))
    }

    /// How many threads it has.
    pub fn threads(&self) -> u64 {
        process::number(self.id(), "Threads").expect("a program that runs")
    }

    /// How often its threads have begun to wait for something.
    pub fn waits(&self) -> u64 {
        process::waits(self.id())
    }

    /// User and system time of all its threads so far.
    pub fn cpu_time(&self) -> Duration {
        process::cpu(self.id())
    }

    /// Waits until the admin address answers `/readyz` with 200.
    pub fn wait_ready(&mut self) {
        eventually("the program to be ready", seconds(180), || {
            assert!(
                self.is_running(),
                "the program ended early; log:\n{}",
                tail(&self.log())
            );
            self.get("/readyz").is_some_and(|(status, _)| status == 200)
        });
    }

    /// Status and body of a path of the admin address; `None` when nobody answers.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).ok()?;
        stream.set_read_timeout(Some(seconds(10))).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The metrics page; fails the test when it cannot be had.
    pub fn metrics(&self) -> Metrics {
        let mut page = None;
        eventually("the page of metrics", seconds(120), || {
            page = self.get("/metrics");
            page.is_some()
        });
        let (status, body) = page.unwrap();
        assert_eq!(status, 200, "{body}");
        Metrics(body)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("log of the program:\n{}", tail(&self.log()));
        }
    }
}

/// A page of metrics in the Prometheus text format.
#[derive(Debug)]
pub struct Metrics(pub String);

impl Metrics {
    /// The sum of all series of `name` whose labels contain every one of `labels` (such as `reason="age"`).
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let mut found = false;
        let mut sum = 0.0;
        for line in self.0.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line
                .rsplit_once(' ')
                .unwrap_or_else(|| panic!("not a metric: {line}"));
            let (metric, rest) = series.split_once('{').unwrap_or((series, ""));
            if metric == name && labels.iter().all(|label| rest.contains(label)) {
                sum += value
                    .parse::<f64>()
                    .unwrap_or_else(|_| panic!("not a number: {line}"));
                found = true;
            }
        }
        assert!(
            found || !labels.is_empty(),
            "no metric named {name} in\n{}",
            self.0
        );
        sum
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.lines().any(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']))
        })
    }
}

/// The last part of a long log.
pub fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}
