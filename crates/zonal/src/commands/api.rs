//! Calls to a running daemon's own paths, over plain HTTP.

use crate::commands::CommandError;
use crate::settings::Settings;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Calls one; the answer as JSON.
///
/// # Errors
/// Nobody answers, or the answer is an error.
pub fn call(settings: &Settings, method: &str, path: &str, body: &str) -> Result<Value, CommandError> {
    let address = settings.address();
    let down = |error: std::io::Error| {
        CommandError::said(format!(
            "no Zonal answers at {}: {error}. Start one with `zonal up --detach`.",
            settings.endpoint()
        ))
    };
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).map_err(down)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(down)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        settings.port,
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(down)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(down)?;
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| CommandError::said("the daemon's answer broke off"))?;
    let value: Value =
        serde_json::from_str(body).map_err(|error| CommandError::said(format!("the daemon's answer: {error}")))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        let text = value.get("error").and_then(Value::as_str).unwrap_or(body);
        return Err(CommandError::said(text));
    }
    Ok(value)
}

/// Whether a daemon answers.
pub fn is_up(settings: &Settings) -> bool {
    call(settings, "GET", "/_zonal/health", "").is_ok()
}
