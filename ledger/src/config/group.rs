//! The sections `[[group]]`: shard groups on PostgreSQL, in the order of the ring.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ledger_model::ShardCount;
use operations::config::resolve;
use serde::Deserialize;

use crate::hopping::map::{GroupMap, GroupName};
use crate::store::postgres::{GroupSettings, Host, Password};

const PORT: u16 = 5432;
const CALL_LIMIT_MS_MIN: u32 = 100;
const CALL_LIMIT_MS_MAX: u32 = 10_000;

/// As it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenGroup {
    name: String,
    /// Where they are made, if no group has them.
    #[serde(default)]
    shards: Vec<u8>,
    /// `name:port`, or the directory of a Unix socket and the port it is for.
    hosts: Vec<String>,
    #[serde(default = "ledger")]
    database: String,
    #[serde(default = "ledger")]
    user: String,
    password_file: Option<PathBuf>,
    /// Certificates that vouch for the servers; without it there is no TLS.
    authorities: Option<PathBuf>,
    #[serde(default = "call_limit_ms")]
    call_limit_ms: u32,
}

/// Where the stores are.
#[derive(Debug, Clone)]
pub struct ShardGroups {
    pub map: GroupMap,
    /// By place in the ring.
    pub servers: Vec<GroupSettings>,
}

const fn call_limit_ms() -> u32 {
    1_000
}

fn ledger() -> String {
    "ledger".to_owned()
}

/// `None` where no group is written: then the stores are in the directory. Or the reason why it is refused.
pub(super) fn checked(
    written: Vec<WrittenGroup>,
    file: &Path,
    shards: ShardCount,
    kept_days: u32,
) -> Result<Option<ShardGroups>, String> {
    if written.is_empty() {
        return Ok(None);
    }
    let mut placed: Vec<(GroupName, Vec<u8>)> = Vec::with_capacity(written.len());
    let mut servers = Vec::with_capacity(written.len());
    for group in written {
        let name: GroupName = group.name.parse().map_err(|fault| format!("{fault}"))?;
        placed.push((name, group.shards.clone()));
        servers.push(settings(group, file, kept_days)?);
    }
    let map = GroupMap::new(shards, &placed).map_err(|fault| fault.to_string())?;
    Ok(Some(ShardGroups { map, servers }))
}

fn settings(group: WrittenGroup, file: &Path, kept_days: u32) -> Result<GroupSettings, String> {
    let WrittenGroup {
        name,
        shards: _,
        hosts,
        database,
        user,
        password_file,
        authorities,
        call_limit_ms,
    } = group;
    if !(CALL_LIMIT_MS_MIN..=CALL_LIMIT_MS_MAX).contains(&call_limit_ms) {
        return Err(format!(
            "group.call_limit_ms of {name} is from {CALL_LIMIT_MS_MIN} to {CALL_LIMIT_MS_MAX}"
        ));
    }
    let hosts: Option<Vec<Host>> = hosts.iter().map(|text| host(text)).collect();
    let hosts = hosts.filter(|hosts| !hosts.is_empty());
    let mut hosts = hosts
        .ok_or_else(|| format!("group.hosts of {name} are written \"host:port\""))?
        .into_iter();
    let first = hosts.next().ok_or_else(|| format!("group {name} has no hosts"))?;
    let read = |path: &Path| {
        let path = resolve(file, path);
        std::fs::read(&path).map_err(|fault| format!("{} cannot be read: {fault}", path.display()))
    };
    let password = password_file.as_deref().map(read).transpose()?;
    let password = password.map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned());
    let mut settings = GroupSettings::of(&name, first, &database, &user);
    settings.hosts.extend(hosts);
    settings.password = password.map(Password::new);
    settings.tls_authorities = authorities.as_deref().map(read).transpose()?;
    settings.kept_days = kept_days;
    settings.call_limit = Duration::from_millis(call_limit_ms.into());
    Ok(settings)
}

fn host(text: &str) -> Option<Host> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (text, PORT),
    };
    (!name.is_empty()).then(|| Host {
        name: name.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<usize, &str>) {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            group: Vec<WrittenGroup>,
        }
        let two = ShardCount::new(2).unwrap();
        let file: Result<File, _> = toml::from_str(text);
        let checked = file
            .map_err(|fault| fault.to_string())
            .and_then(|file| checked(file.group, Path::new("/etc/ledger.toml"), two, 9));
        match (checked, expected) {
            (Ok(groups), Ok(count)) => assert_eq!(groups.map_or(0, |groups| groups.servers.len()), count),
            (Err(reason), Err(expected)) => assert!(reason.contains(expected), "{reason}"),
            (checked, _) => panic!("{text}: {checked:?}"),
        }
    }

    #[test]
    fn a_call_takes_as_long_as_is_written() {
        let limit = |line: &str| {
            let text = format!("name = \"a\"\nshards = [0]\nhosts = [\"db\"]\n{line}");
            let group = toml::from_str(&text).unwrap();
            let one = ShardCount::new(1).unwrap();
            let groups = checked(vec![group], Path::new("/etc/ledger.toml"), one, 9)
                .unwrap()
                .unwrap();
            groups.servers[0].call_limit.as_millis()
        };
        assert_eq!(limit(""), 1_000);
        assert_eq!(limit("call_limit_ms = 250\n"), 250);
    }

    #[test]
    fn groups_are_read_strictly() {
        let one = "[[group]]\nname = \"a\"\nshards = [0, 1]\nhosts = [\"db-a:5432\", \"db-b\"]\n";
        check("", Ok(0));
        check(one, Ok(1));
        check(&one.replace(", 1]", "]"), Err("shard 1 is in no group"));
        check(&one.replace(", 1]", ", 2]"), Err("there is no shard 2"));
        check(&format!("{one}{one}"), Err("two groups are named a"));
        check(&one.replace(":5432", ":x"), Err("are written \"host:port\""));
        check(
            &one.replace("\"db-a:5432\", \"db-b\"", ""),
            Err("are written \"host:port\""),
        );
        check(&one.replace("\"a\"", "\"A\""), Err("the name of a group"));
        check(
            &format!("{one}password_file = \"/nowhere/at/all\"\n"),
            Err("cannot be read"),
        );
        check(&format!("{one}host = \"x\"\n"), Err("unknown field"));
        // one that shards are to be moved to
        check(&format!("{one}[[group]]\nname = \"b\"\nhosts = [\"db-c\"]\n"), Ok(2));
        check(&format!("{one}call_limit_ms = 100\n"), Ok(1));
        check(&format!("{one}call_limit_ms = 10000\n"), Ok(1));
        let limit = Err("group.call_limit_ms of a is from 100 to 10000");
        check(&format!("{one}call_limit_ms = 99\n"), limit);
        check(&format!("{one}call_limit_ms = 10001\n"), limit);
    }
}
