//! Starts and stops Kafka, S3 and databases, which `scripts/services` knows how to run.

use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use super::{broker, eventually, random::Random, seconds};

pub const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// A process that ends when it is dropped, and also when the test process dies.
pub(super) struct Service {
    pub(super) name: String,
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
    pub(super) log: PathBuf,
    pub(super) process: Option<Child>,
}

impl Service {
    pub(super) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let log = File::options()
            .append(true)
            .create(true)
            .open(&self.log)
            .unwrap();
        let child = Command::new(script("until-eof"))
            .args(&self.command)
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        self.process = Some(child);
    }

    pub(super) fn wait_until(&mut self, mut ready: impl FnMut() -> bool) {
        let start = Instant::now();
        while !ready() {
            let ended = self
                .process
                .as_mut()
                .is_some_and(|child| child.try_wait().unwrap().is_some());
            assert!(
                !ended && start.elapsed() < seconds(180),
                "{} did not start; its log: {}",
                self.name,
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }

    /// Ends the process as a power cut would.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.process.take() {
            signal(&format!("-{}", child.id()), "KILL");
            let _ = child.wait();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process, or with a leading `-` to a process group.
pub fn signal(target: &str, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, "--", target])
        .stderr(Stdio::null())
        .status();
    assert!(status.is_ok(), "cannot run kill");
}

pub(super) fn script(name: &str) -> PathBuf {
    Path::new(REPOSITORY).join("scripts/services").join(name)
}

/// The Python that the service tests read with.
pub fn python() -> PathBuf {
    let python = Path::new(REPOSITORY).join(".services/python/bin/python");
    assert!(
        python.exists(),
        "the test services are not here yet: run 'make services' (or 'make test')"
    );
    python
}

/// The first of `count` free ports in a row, below the range the system hands out by itself.
///
/// Whoever asks may listen on them much later, and again after a pause. Until this process ends nobody else is given them: of each ten
/// ports the last is kept busy, which also holds off another process of tests.
pub fn free_ports(count: u16) -> u16 {
    static TAKEN: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    assert!(count < TEN, "the last of ten is not given away");
    let time = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let mut random = Random::new(time ^ u64::from(std::process::id()) << 32);
    let bind = |port| TcpListener::bind(("127.0.0.1", port)).ok();
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let (base, last) = (0..10_000)
        .map(|_| 15_000 + TEN * random.below(1_500) as u16)
        .find_map(|base| {
            let last = bind(base + TEN - 1)?;
            let free = (base..base + count).all(|port| bind(port).is_some());
            free.then_some((base, last))
        })
        .expect("no free ports");
    taken.push(last);
    base
}

/// Ports that are given away together (`scripts/services/free-ports` does the same).
const TEN: u16 = 10;

/// A Kafka cluster of the test's own, whose brokers it may kill and start again.
pub struct Kafka {
    brokers: Vec<(Service, u16)>,
    _directory: tempfile::TempDir,
}

impl Kafka {
    pub fn start(brokers: u16) -> Self {
        python();
        let directory = tempfile::Builder::new()
            .prefix("kafka-")
            .tempdir_in(run_directory())
            .unwrap();
        let ports: Vec<u16> = (0..brokers).map(|_| free_ports(2)).collect();
        let voters: Vec<String> = ports
            .iter()
            .enumerate()
            .map(|(index, port)| format!("{}@127.0.0.1:{}", index + 1, port + 1))
            .collect();
        let brokers = ports
            .iter()
            .enumerate()
            .map(|(index, &port)| {
                let node = (index + 1).to_string();
                let home = directory.path().join(&node);
                let command = [
                    script("kafka").display().to_string(),
                    home.display().to_string(),
                    node,
                    port.to_string(),
                    (port + 1).to_string(),
                    voters.join(","),
                ];
                let log = directory.path().join(format!("{}.log", index + 1));
                let name = format!("kafka broker {}", index + 1);
                (
                    Service {
                        name,
                        command: command.into(),
                        environment: vec![],
                        log,
                        process: None,
                    },
                    port,
                )
            })
            .collect();
        let mut kafka = Self {
            brokers,
            _directory: directory,
        };
        for (service, _) in &mut kafka.brokers {
            service.start();
        }
        for (service, port) in &mut kafka.brokers {
            service.wait_until(|| TcpStream::connect(("127.0.0.1", *port)).is_ok());
        }
        let count = kafka.brokers.len();
        let bootstrap = kafka.bootstrap();
        kafka.brokers[0]
            .0
            .wait_until(|| broker::broker_count(&bootstrap) == count);
        kafka
    }

    /// All brokers as `host:port,...`.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self
            .brokers
            .iter()
            .map(|(_, port)| format!("127.0.0.1:{port}"))
            .collect();
        addresses.join(",")
    }

    pub fn kill(&mut self, broker: usize) {
        self.brokers[broker].0.kill();
    }

    /// Starts a broker that was killed, without waiting for it.
    pub fn begin_restart(&mut self, broker: usize) {
        self.brokers[broker].0.start();
    }

    pub fn answers(&self, broker: usize) -> bool {
        TcpStream::connect(("127.0.0.1", self.brokers[broker].1)).is_ok()
    }

    pub fn restart(&mut self, broker: usize) {
        self.begin_restart(broker);
        let (service, port) = &mut self.brokers[broker];
        service.wait_until(|| TcpStream::connect(("127.0.0.1", *port)).is_ok());
    }
}

/// The broker that tests share: the one `ALLUVIUM_TEST_KAFKA` names.
pub fn shared_kafka() -> String {
    given("ALLUVIUM_TEST_KAFKA")
}

/// How to reach a bucket.
#[derive(Clone)]
pub struct Bucket {
    pub endpoint: String,
    pub access_key: String,
    pub secret_key: String,
    pub name: String,
}

impl Bucket {
    /// The bucket that tests share: the one the variables `ALLUVIUM_TEST_S3_*` name.
    pub fn shared() -> Self {
        Self {
            endpoint: given("ALLUVIUM_TEST_S3_ENDPOINT"),
            access_key: given("ALLUVIUM_TEST_S3_ACCESS_KEY"),
            secret_key: given("ALLUVIUM_TEST_S3_SECRET_KEY"),
            name: given("ALLUVIUM_TEST_S3_BUCKET"),
        }
    }

    /// Copies all objects whose key starts with `prefix` below `directory`; gives their number and bytes.
    pub fn fetch(&self, prefix: &str, directory: &Path) -> (u64, u64) {
        let output = self.objects(&["fetch", prefix, &directory.display().to_string()]);
        assert!(
            output.status.success(),
            "cannot fetch objects: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let (objects, bytes) = text.trim().split_once(' ').unwrap();
        (objects.parse().unwrap(), bytes.parse().unwrap())
    }

    fn objects(&self, arguments: &[&str]) -> std::process::Output {
        Command::new(python())
            .arg(Path::new(REPOSITORY).join("tests/services/objects.py"))
            .args(arguments)
            .env("ALLUVIUM_TEST_S3_ENDPOINT", &self.endpoint)
            .env("ALLUVIUM_TEST_S3_ACCESS_KEY", &self.access_key)
            .env("ALLUVIUM_TEST_S3_SECRET_KEY", &self.secret_key)
            .env("ALLUVIUM_TEST_S3_BUCKET", &self.name)
            .output()
            .unwrap()
    }
}

/// An S3 server of the test's own, which it may stop and start again with the same data and address.
pub struct S3 {
    service: Service,
    bucket: Bucket,
    _directory: tempfile::TempDir,
}

impl S3 {
    pub fn start() -> Self {
        python();
        let directory = tempfile::Builder::new()
            .prefix("s3-")
            .tempdir_in(run_directory())
            .unwrap();
        let (port, inner) = (free_ports(1), free_ports(7));
        let bucket = Bucket {
            endpoint: format!("http://127.0.0.1:{port}"),
            access_key: "alluvium".into(),
            secret_key: "alluvium-secret".into(),
            name: "alluvium-tests".into(),
        };
        let command = [
            script("s3").display().to_string(),
            directory.path().join("s3").display().to_string(),
            port.to_string(),
            inner.to_string(),
        ];
        let environment = vec![
            ("S3_ACCESS_KEY", bucket.access_key.clone()),
            ("S3_SECRET_KEY", bucket.secret_key.clone()),
        ];
        let log = directory.path().join("s3.log");
        let service = Service {
            name: "the S3 server".into(),
            command: command.into(),
            environment,
            log,
            process: None,
        };
        let mut s3 = Self {
            service,
            bucket,
            _directory: directory,
        };
        s3.restart();
        s3
    }

    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    pub fn kill(&mut self) {
        self.service.kill();
    }

    pub fn restart(&mut self) {
        self.service.start();
        let bucket = self.bucket.clone();
        self.service
            .wait_until(|| bucket.objects(&["make-bucket"]).status.success());
    }
}

/// A DynamoDB Local of the test's own.
pub struct DynamoDb {
    pub endpoint: String,
    _service: Service,
    _directory: tempfile::TempDir,
}

impl DynamoDb {
    pub fn start() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("dynamodb-")
            .tempdir_in(run_directory())
            .unwrap();
        let port = free_ports(1);
        let command = [
            script("dynamodb").display().to_string(),
            directory.path().join("data").display().to_string(),
            port.to_string(),
        ];
        let mut service = Service {
            name: "DynamoDB Local".into(),
            command: command.into(),
            environment: vec![],
            log: directory.path().join("log"),
            process: None,
        };
        service.start();
        service.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            _service: service,
            _directory: directory,
        }
    }
}

/// A kind of database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    Postgres,
    MariaDb,
}

/// A database server: the shared one, or the test's own, which it may kill and start again.
pub struct Database {
    kind: DatabaseKind,
    address: String,
    password: String,
    own: Option<(Service, tempfile::TempDir)>,
}

impl Database {
    /// The one that `ALLUVIUM_TEST_POSTGRES` or `ALLUVIUM_TEST_MARIADB` names.
    pub fn shared(kind: DatabaseKind) -> Self {
        let variable = match kind {
            DatabaseKind::Postgres => "ALLUVIUM_TEST_POSTGRES",
            DatabaseKind::MariaDb => "ALLUVIUM_TEST_MARIADB",
        };
        Self {
            kind,
            address: given(variable),
            password: given("ALLUVIUM_TEST_DATABASE_PASSWORD"),
            own: None,
        }
    }

    /// A server of the test's own.
    pub fn start(kind: DatabaseKind) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("database-")
            .tempdir_in(run_directory())
            .unwrap();
        let name = match kind {
            DatabaseKind::Postgres => "postgres",
            DatabaseKind::MariaDb => "mariadb",
        };
        let port = free_ports(1);
        let password = "alluvium-secret".to_owned();
        let command = [
            script(name).display().to_string(),
            directory.path().join("data").display().to_string(),
            port.to_string(),
        ];
        let service = Service {
            name: name.into(),
            command: command.into(),
            environment: vec![("DATABASE_PASSWORD", password.clone())],
            log: directory.path().join("log"),
            process: None,
        };
        let mut database = Self {
            kind,
            address: format!("127.0.0.1:{port}"),
            password,
            own: Some((service, directory)),
        };
        database.restart();
        database
    }

    /// Ends a server of the test's own as a power cut would.
    pub fn kill(&mut self) {
        let (service, _) = self.own.as_mut().expect("the shared server is not killed");
        service.kill();
    }

    /// Starts a server of the test's own that was killed, and waits until it answers.
    pub fn restart(&mut self) {
        let (service, _) = self.own.as_mut().expect("the shared server runs");
        service.start();
        let address = self.address.clone();
        service.wait_until(|| TcpStream::connect(&address).is_ok());
        self.wait_for_answers();
    }

    /// PostgreSQL takes connections while it still repairs what a power cut has left, and answers no question then.
    fn wait_for_answers(&self) {
        let ask = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            eventually("answers of a database", seconds(180), || {
                let asked = self.run("alluvium", &["SELECT 1"]);
                runtime.block_on(asked).is_ok()
            });
        };
        // The caller may be on a runtime of its own.
        std::thread::scope(|scope| scope.spawn(ask).join().unwrap());
    }

    /// The URL of a database there, as the original writes it.
    pub fn url(&self, database: &str) -> String {
        let Self {
            address, password, ..
        } = self;
        match self.kind {
            DatabaseKind::Postgres => {
                format!("jdbc:postgresql://{address}/{database}?user=alluvium&password={password}")
            }
            DatabaseKind::MariaDb => format!("mysql://alluvium:{password}@{address}/{database}"),
        }
    }

    /// Makes a database that no other test uses, and gives its name.
    pub async fn create(&self) -> String {
        let name = super::unique("catalog").replace('-', "_");
        let statement = format!("CREATE DATABASE {name}");
        // A server that has just been started may take connections before it takes statements.
        let start = Instant::now();
        while let Err(error) = self.run("alluvium", &[&statement]).await {
            assert!(start.elapsed() < seconds(120), "{error}");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
        name
    }

    /// Runs statements in a database, as another program would.
    pub async fn execute(&self, database: &str, statements: &[&str]) {
        self.run(database, statements).await.unwrap();
    }

    async fn run(&self, database: &str, statements: &[&str]) -> Result<(), sqlx::Error> {
        use sqlx::ConnectOptions;
        let (host, port) = self.address.rsplit_once(':').unwrap();
        let port = port.parse().unwrap();
        match self.kind {
            DatabaseKind::Postgres => {
                let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
                    .host(host)
                    .port(port)
                    .username("alluvium")
                    .password(&self.password)
                    .database(database);
                each(options.connect().await?, statements).await
            }
            DatabaseKind::MariaDb => {
                let options = sqlx::mysql::MySqlConnectOptions::new()
                    .host(host)
                    .port(port)
                    .username("alluvium")
                    .password(&self.password)
                    .database(database);
                each(options.connect().await?, statements).await
            }
        }
    }
}

pub fn given(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run 'make test', or 'scripts/services/with COMMAND'")
    })
}

/// Where services keep their data while a test runs.
pub(super) fn run_directory() -> &'static Path {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
        let directory = Path::new(REPOSITORY).join(".services/run");
        std::fs::create_dir_all(&directory).unwrap();
        directory
    });
    &DIRECTORY
}

/// Reads a file that may still be growing.
pub fn read_log(path: &Path) -> String {
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(path) {
        let _ = file.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Runs statements one after the other.
async fn each<C>(mut connection: C, statements: &[&str]) -> Result<(), sqlx::Error>
where
    for<'c> &'c mut C: sqlx::Executor<'c>,
{
    use sqlx::Executor;
    for statement in statements {
        let statement = sqlx::AssertSqlSafe((*statement).to_owned());
        connection.execute(sqlx::raw_sql(statement)).await?;
    }
    Ok(())
}
