//! What a key is: name, kind, default, meaning, and whether this program serves it.

/// A key of the configuration. Each is declared once, in `keys`.
#[derive(Debug)]
pub(super) struct Key {
    /// The name in a file, such as `kafka.group.id`.
    pub(super) name: &'static str,
    /// The group it is documented in.
    pub(super) section: Section,
    /// What values it takes.
    pub(super) kind: Kind,
    /// The default, written as a value would be.
    pub(super) default: Option<&'static str>,
    /// What holds when it is not set and has no fixed default, in words.
    pub(super) unset: &'static str,
    /// When it must be set; empty if never.
    pub(super) required: &'static str,
    /// A value to show in messages and documents, if the default is none.
    pub(super) example: &'static str,
    /// What it does.
    pub(super) meaning: &'static str,
    /// Whether its value must never be seen.
    pub(super) secret: bool,
    /// Whether it shapes the names or the rows of outputs: a plan keeps its value. Never a secret.
    pub(super) shapes: bool,
    /// Whether this program serves it.
    pub(super) status: Status,
}

/// Whether a key does something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It does what its meaning says.
    Served,
    /// The original knows it, this program not yet. Setting it is a problem.
    NotYet,
    /// The original knows it, and it can have no meaning here. Setting it is a warning. The name may
    /// end in `.*`, for every key that begins so.
    NoEffect,
}

/// What values a key takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// One of a few words, in any case. `later` are words of the original that are not served yet.
    Choice {
        /// The words, as they are documented.
        words: &'static [&'static str],
        /// Words the original knows.
        later: &'static [&'static str],
    },
    /// A time span: [`super::duration`].
    Duration,
    /// A number of bytes: [`super::size`].
    Size,
    /// A share, above 0 and at most 1.
    Ratio,
    /// A whole number with bounds, both allowed.
    Whole {
        /// The least.
        least: u64,
        /// The greatest.
        greatest: u64,
        /// What is counted, such as `ms`; empty if it is a plain number.
        unit: &'static str,
    },
    /// Comma-separated `host` or `host:port`.
    Nodes,
    /// Comma-separated names of topics, and regular expressions that begin with `^`.
    Topics,
    /// The name of a topic.
    Topic,
    /// Comma-separated names of anything.
    Names,
    /// A name as AWS gives them: letters, digits, `_`, `.` and `-`, and no more than so many.
    AwsName {
        /// The fewest characters.
        shortest: usize,
        /// The most characters.
        longest: usize,
    },
    /// Where to begin in a shard: a word, or a time.
    Beginning,
    /// The template of an output's name.
    Template,
    /// A path of this machine.
    Path,
    /// `host:port`, or `off`.
    Listen,
    /// `http://` or `https://` and a host.
    Endpoint,
    /// Comma-separated URLs as in `Endpoint`.
    Endpoints,
    /// The URL of a database, as JDBC has it.
    Jdbc,
    /// A log level, perhaps with levels for single modules.
    LogFilter,
}

/// A group of keys that are documented together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// What is read, and how it is decoded.
    Source,
    /// The Kafka consumer.
    Kafka,
    /// The Kinesis consumer.
    Kinesis,
    /// When rows are delivered.
    Flushing,
    /// Columns with a role.
    Columns,
    /// Which rows go to the target.
    Routing,
    /// The byte budget.
    Memory,
    /// Where rows go and how they look.
    Target,
    /// The S3 target.
    S3,
    /// The file target.
    File,
    /// Where the columns of tables are kept.
    Catalog,
    /// What is seen from outside.
    Operation,
    /// What only the original does.
    Original,
}

impl Section {
    /// All sections in the order of the documents, without [`Section::Original`].
    pub(super) const SERVED: [Self; 12] = [
        Self::Source,
        Self::Kafka,
        Self::Kinesis,
        Self::Flushing,
        Self::Columns,
        Self::Routing,
        Self::Memory,
        Self::Target,
        Self::S3,
        Self::File,
        Self::Catalog,
        Self::Operation,
    ];

    /// The heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Source => "Source and format",
            Self::Kafka => "Kafka",
            Self::Kinesis => "Kinesis",
            Self::Flushing => "Flushing",
            Self::Columns => "Columns",
            Self::Routing => "Which rows go to the target",
            Self::Memory => "Memory",
            Self::Target => "Target",
            Self::S3 => "Target s3",
            Self::File => "Target file",
            Self::Catalog => "Catalog",
            Self::Operation => "Operation",
            Self::Original => "Keys of rakam-api-collector that are not served yet",
        }
    }
}

impl Kind {
    /// The name of the kind in documents.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Choice { words, .. } => words.join(", "),
            Self::Duration => "duration".into(),
            Self::Size => "size".into(),
            Self::Ratio => "ratio".into(),
            Self::Whole { unit: "", .. } => "whole number".into(),
            Self::Whole { unit, .. } => format!("whole number, {unit}"),
            Self::Nodes => "list of host[:port]".into(),
            Self::Topics => "list of topics".into(),
            Self::Topic => "topic".into(),
            Self::Names => "list of names".into(),
            Self::AwsName { .. } => "name".into(),
            Self::Beginning => "TRIM_HORIZON, LATEST or a time".into(),
            Self::Template => "text with placeholders".into(),
            Self::Path => "path".into(),
            Self::Listen => "address:port or off".into(),
            Self::Endpoint | Self::Jdbc => "URL".into(),
            Self::Endpoints => "list of URLs".into(),
            Self::LogFilter => "log levels".into(),
        }
    }

    /// What a value must be, to be put behind "expected".
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Text => "a text".into(),
            Self::Choice { words: [word], .. } => (*word).into(),
            Self::Choice { words, .. } => format!("one of {}", words.join(", ")),
            Self::Duration => "a number and one of ns, us, ms, s, m, h, d".into(),
            Self::Size => "a number and one of B, kB, MB, GB, TB, PB".into(),
            Self::Ratio => "a number above 0 and at most 1".into(),
            Self::Whole { least, greatest: u64::MAX, .. } => {
                format!("a whole number of at least {least}")
            }
            Self::Whole { least, greatest, .. } => {
                format!("a whole number from {least} to {greatest}")
            }
            Self::Nodes => "host or host:port, several with commas between".into(),
            Self::Topics => "names of topics with commas between; an entry that begins with ^ is a regular expression".into(),
            Self::Topic => "the name of a topic".into(),
            Self::Names => "names with commas between".into(),
            Self::AwsName { shortest, longest } => {
                format!("{shortest} to {longest} letters, digits, `_`, `.` and `-`")
            }
            Self::Beginning => "TRIM_HORIZON, LATEST, a time such as 2026-01-31T05:59:00Z, or milliseconds since the epoch".into(),
            Self::Template => "text with placeholders in braces".into(),
            Self::Path => "a path".into(),
            Self::Listen => "an IP address with a port, or off".into(),
            Self::Jdbc => "jdbc:postgresql://HOST/DATABASE, jdbc:mysql://HOST/DATABASE or jdbc:sqlite:FILE".into(),
            Self::Endpoint => "http:// or https://, a host, and perhaps a port".into(),
            Self::Endpoints => "http:// or https://, a host, and perhaps a port and a path; several with commas between".into(),
            Self::LogFilter => "one of off, error, warn, info, debug, trace, or module=level with commas between".into(),
        }
    }
}

impl Key {
    /// A key that is served, without a default.
    pub(super) const fn new(
        section: Section,
        name: &'static str,
        kind: Kind,
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            section,
            kind,
            default: None,
            unset: "",
            required: "",
            example: "",
            meaning,
            secret: false,
            shapes: false,
            status: Status::Served,
        }
    }

    /// A key of the original that is not served yet.
    pub(super) const fn later(name: &'static str, meaning: &'static str) -> Self {
        let mut key = Self::new(Section::Original, name, Kind::Text, meaning);
        key.status = Status::NotYet;
        key
    }

    /// A key of the original without any effect here; the name may end in `.*`.
    pub(super) const fn no_effect(name: &'static str, meaning: &'static str) -> Self {
        let mut key = Self::new(Section::Original, name, Kind::Text, meaning);
        key.status = Status::NoEffect;
        key
    }

    pub(super) const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    pub(super) const fn unset(mut self, words: &'static str) -> Self {
        self.unset = words;
        self
    }

    pub(super) const fn required(mut self, when: &'static str) -> Self {
        self.required = when;
        self
    }

    pub(super) const fn example(mut self, value: &'static str) -> Self {
        self.example = value;
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(super) const fn shapes(mut self) -> Self {
        self.shapes = true;
        self
    }

    /// A value that would be right, for messages.
    pub(super) fn sample(&self) -> &'static str {
        match (self.example, self.default, self.kind) {
            ("", Some(default), _) => default,
            (
                "",
                None,
                Kind::Choice {
                    words: [word, ..], ..
                },
            ) => word,
            (example, _, _) => example,
        }
    }
}
