//! The database of the catalog: `metadata.store.jdbc.…`.
//!
//! URLs are read as the original reads them: `jdbc:` may be left out, `postgres` is `postgresql`, `user:password@` is
//! taken out, and a schema that is not named is `public`. Nothing that is said of a URL shows any of it but the names of its
//! parameters, since it may hold a password.

use std::path::PathBuf;
use std::time::Duration;

use super::assemble::{millis, without_effect};
use super::keys;
use super::read::Reader;
use super::secret::Secret;
use super::settings::{Server, Store, StoreAddress, Tls, TlsMode};

/// The store that is configured, if one is.
pub(super) fn store(r: &mut Reader<'_>) -> Option<Store> {
    let url = r.parsed(&keys::STORE_URL, parse);
    // All are read, so that bad values are found without a URL too.
    let username = r.text(&keys::STORE_USERNAME);
    let password = r.text(&keys::STORE_PASSWORD).map(Secret::new);
    let max_connections = r.whole(&keys::STORE_CONNECTIONS).unwrap_or(1);
    let limit = |limit: Duration| Some(limit).filter(|limit| !limit.is_zero());
    let max_life = limit(millis(r, &keys::STORE_LIFE));
    let max_idle = limit(millis(r, &keys::STORE_IDLE));
    let words = [("false", true), ("true", false)];
    let pooled = r.choice(&keys::STORE_NO_POOL, words).unwrap_or(true);
    if r.set(&keys::STORE_URL).is_none() {
        for key in [
            &keys::STORE_USERNAME,
            &keys::STORE_PASSWORD,
            &keys::STORE_CONNECTIONS,
            &keys::STORE_LIFE,
            &keys::STORE_IDLE,
            &keys::STORE_NO_POOL,
        ] {
            without_effect(r, key, "metadata.store.jdbc.url is not set");
        }
    }
    let url = url?;
    if let (Some(found), false) = (r.set(&keys::STORE_URL), url.idle.is_empty()) {
        let names = url.idle.join(", ");
        let what = format!("has parameters without effect here: {names}");
        r.findings()
            .warning(&found.place, keys::STORE_URL.name, what, "remove them");
    }
    Some(Store {
        address: url.address,
        username: username.or(url.username).unwrap_or_default(),
        password: password.or(url.password).unwrap_or_default(),
        max_connections: u32::try_from(max_connections).unwrap_or(u32::MAX),
        max_life,
        max_idle,
        pooled,
    })
}

/// What a URL says.
#[derive(Debug)]
struct Url {
    address: StoreAddress,
    username: Option<String>,
    password: Option<Secret>,
    /// The names of parameters that do nothing here.
    idle: Vec<String>,
}

/// Parameters after the `?` that do something.
#[derive(Default)]
struct Parameters {
    username: Option<String>,
    password: Option<Secret>,
    schema: Option<String>,
    tls: Tls,
    idle: Vec<String>,
}

fn parse(text: &str) -> Result<Url, String> {
    let text = text.strip_prefix("jdbc:").unwrap_or(text);
    let (scheme, rest) = text.split_once(':').ok_or("is no URL of a database")?;
    let scheme = scheme.to_ascii_lowercase();
    if scheme == "sqlite" {
        return sqlite(rest);
    }
    let default_port = match scheme.as_str() {
        "postgresql" | "postgres" => 5432,
        "mysql" | "mariadb" => 3306,
        _ => return Err("is of a database other than PostgreSQL, MySQL and SQLite".into()),
    };
    let rest = rest.strip_prefix("//").ok_or("has no // before its host")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (host, port) = host_and_port(host, default_port)?;
    let database = decoded(database)?;
    if database.is_empty() {
        return Err("names no database".into());
    }
    let parameters = parameters(query)?;
    let (mut username, mut password) = (parameters.username, parameters.password);
    if let Some(user) = user {
        let (name, word) = user.split_once(':').unwrap_or((user, ""));
        username = Some(decoded(name)?);
        password = Some(decoded(word)?)
            .filter(|word| !word.is_empty())
            .map(Secret::new)
            .or(password);
    }
    let server = Server {
        host,
        port,
        database,
        tls: parameters.tls,
    };
    let mut idle = parameters.idle;
    let address = if default_port == 5432 {
        let schema = parameters.schema.unwrap_or_else(|| "public".into());
        StoreAddress::Postgres { server, schema }
    } else {
        idle.extend(parameters.schema.map(|_| "currentSchema".to_owned()));
        StoreAddress::MySql { server }
    };
    Ok(Url {
        address,
        username,
        password,
        idle,
    })
}

fn sqlite(rest: &str) -> Result<Url, String> {
    let (file, query) = rest.split_once('?').unwrap_or((rest, ""));
    let file = file.strip_prefix("//").unwrap_or(file);
    if file.is_empty() || file.starts_with(':') {
        return Err("names no file".into());
    }
    let names = query.split('&').filter(|text| !text.is_empty());
    let name = |text: &str| {
        text.split_once('=')
            .map_or(text, |(name, _)| name)
            .to_owned()
    };
    Ok(Url {
        address: StoreAddress::Sqlite {
            file: PathBuf::from(file),
        },
        username: None,
        password: None,
        idle: names.map(name).collect(),
    })
}

fn host_and_port(text: &str, default: u16) -> Result<(String, u16), String> {
    if text.contains(',') {
        return Err("has several hosts; one is served".into());
    }
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if host.is_empty() || host.contains(['/', '@', ' ']) {
        return Err("has no host".into());
    }
    let port = match port {
        "" => default,
        port => port
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or("has a port that is not from 1 to 65535")?,
    };
    Ok((host.to_owned(), port))
}

fn parameters(query: &str) -> Result<Parameters, String> {
    let mut found = Parameters::default();
    for parameter in query.split('&').filter(|text| !text.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = decoded(value)?;
        match name {
            "user" | "username" => found.username = Some(value),
            "password" => found.password = Some(Secret::new(value)),
            "currentSchema" => found.schema = Some(value).filter(|schema| !schema.is_empty()),
            "sslmode" | "sslMode" | "ssl-mode" => found.tls.mode = tls_mode(&value)?,
            "ssl" | "requireSSL" | "useSSL" => match (name, value.to_ascii_lowercase().as_str()) {
                ("ssl", "true" | "") => found.tls.mode = TlsMode::VerifyFull,
                (_, "true" | "") => found.tls.mode = TlsMode::Require,
                ("useSSL", "false") => found.tls.mode = TlsMode::Disable,
                _ => {}
            },
            "sslrootcert" | "ssl-ca" | "serverSslCert" => found.tls.ca = Some(value.into()),
            other => found.idle.push(other.to_owned()),
        }
    }
    Ok(found)
}

fn tls_mode(word: &str) -> Result<TlsMode, String> {
    let word = word.to_ascii_lowercase().replace('_', "-");
    Ok(match word.as_str() {
        "disable" | "disabled" => TlsMode::Disable,
        "allow" | "prefer" | "preferred" => TlsMode::Prefer,
        "require" | "required" | "trust" => TlsMode::Require,
        "verify-ca" => TlsMode::VerifyCa,
        "verify-full" | "verify-identity" => TlsMode::VerifyFull,
        _ => return Err("has an sslmode that is not known".into()),
    })
}

/// Text in which `%20` stands for a space, and so on.
fn decoded(text: &str) -> Result<String, String> {
    let bad = "has a % that two hexadecimal digits do not follow";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2).ok_or(bad)?;
        let digits = std::str::from_utf8(digits).map_err(|_| bad)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad)?);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| "has escapes that are not UTF-8".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn user(url: &Url) -> (&str, &str) {
        (
            url.username.as_deref().unwrap_or("-"),
            url.password.as_ref().map_or("-", Secret::expose),
        )
    }

    #[test]
    fn urls_are_read_as_the_original_writes_them() {
        for (text, place, who) in [
            ("jdbc:postgresql://h/d", "postgresql://h:5432/d", ("-", "-")),
            (
                "postgres://u:p@h:6000/d",
                "postgresql://h:6000/d",
                ("u", "p"),
            ),
            (
                "jdbc:postgresql://h/d?user=u&password=p%26q",
                "postgresql://h:5432/d",
                ("u", "p&q"),
            ),
            (
                "postgresql://u:p:q%40r@h/d",
                "postgresql://h:5432/d",
                ("u", "p:q@r"),
            ),
            ("mysql://u@h/d", "mysql://h:3306/d", ("u", "-")),
            (
                "jdbc:mysql://[::1]:3307/d?user=u&password=p",
                "mysql://::1:3307/d",
                ("u", "p"),
            ),
            ("jdbc:mariadb://h/d", "mysql://h:3306/d", ("-", "-")),
            (
                "jdbc:sqlite:/var/lib/c.db",
                "sqlite:/var/lib/c.db",
                ("-", "-"),
            ),
            ("sqlite://c.db", "sqlite:c.db", ("-", "-")),
        ] {
            let url = url(text);
            assert_eq!(url.address.to_string(), place, "{text}");
            assert_eq!(user(&url), who, "{text}");
            assert!(url.idle.is_empty(), "{text}: {:?}", url.idle);
        }
    }

    #[test]
    fn the_schema_is_public_unless_it_is_named() {
        for (text, expected) in [
            ("postgresql://h/d", "public"),
            ("postgresql://h/d?currentSchema=mine", "mine"),
        ] {
            let StoreAddress::Postgres { schema, .. } = url(text).address else {
                panic!("{text}")
            };
            assert_eq!(schema, expected);
        }
    }

    #[test]
    fn encryption_is_as_strict_as_it_says() {
        for (text, mode) in [
            ("mysql://h/d", TlsMode::Prefer),
            ("mysql://h/d?useSSL=false", TlsMode::Disable),
            ("mysql://h/d?sslMode=VERIFY_IDENTITY", TlsMode::VerifyFull),
            ("postgresql://h/d?sslmode=verify-ca", TlsMode::VerifyCa),
            ("postgresql://h/d?ssl=true", TlsMode::VerifyFull),
        ] {
            let (StoreAddress::MySql { server } | StoreAddress::Postgres { server, .. }) =
                url(text).address
            else {
                panic!("{text}")
            };
            assert_eq!(server.tls.mode, mode, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for text in [
            "hunter2",
            "oracle://u:hunter2@h/d",
            "mysql:hunter2",
            "mysql://hunter2/",
            "mysql://hunter2,h/d",
            "mysql://hunter2:99999/d",
            "mysql://u:hunter2%x@h/d",
            "mysql://h/d?sslMode=hunter2",
            "sqlite:",
            "sqlite::memory:",
        ] {
            let why = parse(text).expect_err(text);
            assert!(!why.contains("hunter2"), "{text}: {why}");
        }
    }

    #[test]
    fn parameters_without_effect_are_named_but_not_shown() {
        let url = url("mysql://h/d?useUnicode=true&characterEncoding=hunter2");
        assert_eq!(url.idle, ["useUnicode", "characterEncoding"]);
    }
}
