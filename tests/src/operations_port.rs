//! Asking a process at its operations port: health, version, metrics.
//!
//! One request over a plain loopback connection, each with a limit; no proxy, no redirect, no keep-alive.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: u64 = 4 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

pub fn ask(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    read(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))
}

/// Bodies come with their length and the connection ends with them, so the rest is the body.
fn read(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    (!chunked).then(|| Answer {
        status,
        body: body.to_owned(),
    })
}

/// Ok when it is ready, else why not.
pub fn readiness(address: SocketAddr) -> Result<(), String> {
    match ask(address, "/health/ready") {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(format!("{} {}", answer.status, answer.body.trim())),
        Err(fault) => Err(fault.to_string()),
    }
}

/// Sum of a counter over all its labels that hold the given text; 0 when it has not been counted yet.
pub fn counter(metrics: &str, name: &str, label: &str) -> u64 {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let whole = labels.is_empty() || labels.starts_with('{');
        (whole && labels.contains(label)).then(|| value.parse::<u64>().ok())?
    });
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_over_their_labels() {
        let metrics =
            "# HELP a_total x\na_total{message=\"201\"} 3\na_total{message=\"301\"} 4\na_total_more 9\nb_total 7\n";
        let check = |name, label, expected| assert_eq!(counter(metrics, name, label), expected);
        check("a_total", "", 7);
        check("a_total", "message=\"301\"", 4);
        check("b_total", "", 7);
        check("c_total", "", 0);
    }

    #[test]
    fn an_answer_is_its_status_and_body() {
        let read = |text| read(text).map(|answer| (answer.status, answer.body));
        assert_eq!(
            read("HTTP/1.1 503 x\r\na: b\r\n\r\nno key"),
            Some((503, "no key".to_owned()))
        );
        assert_eq!(read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n"), None);
        assert_eq!(read("what"), None);
    }
}
