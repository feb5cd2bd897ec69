//! User data, as cloud-init takes it: a script, gzip, or a MIME message of several parts.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// What unpacked user data may come to.
const LARGEST: u64 = 1 << 20;
const SCRIPTS: &str = "/var/lib/cloud/instance/scripts";

/// Writes the scripts in `data` to files, in the order they are to run in; or says why there is none.
pub(super) fn unpack(data: &[u8]) -> Result<Vec<PathBuf>, String> {
    let scripts = scripts(data)?;
    let _ = fs::write("/var/lib/cloud/instance/user-data.txt", data);
    let mut paths = Vec::new();
    for (number, script) in scripts.iter().enumerate() {
        let path = PathBuf::from(format!("{SCRIPTS}/part-{:03}", number + 1));
        fs::write(&path, script).map_err(|e| format!("{}: {e}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        paths.push(path);
    }
    Ok(paths)
}

/// The scripts in user data.
fn scripts(data: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    if data.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        let mut reader = flate2::read::MultiGzDecoder::new(data).take(LARGEST + 1);
        reader.read_to_end(&mut plain).map_err(|e| format!("user data: gzip: {e}"))?;
        if plain.len() as u64 > LARGEST || plain.starts_with(&[0x1f, 0x8b]) {
            return Err("user data: too large once unpacked".to_owned());
        }
        return scripts(&plain);
    }
    if data.starts_with(b"#!") {
        return Ok(vec![data.to_vec()]);
    }
    let text = String::from_utf8_lossy(data);
    let start = text.get(..64.min(text.len())).unwrap_or(&text).to_ascii_lowercase();
    if start.starts_with("content-type:") || start.starts_with("mime-version:") || start.starts_with("from ") {
        return multipart(&text);
    }
    if start.starts_with("#cloud-config") {
        return Err("user data: #cloud-config is not understood; only scripts run".to_owned());
    }
    Err("user data: neither a script (#!) nor a MIME message; ignored".to_owned())
}

/// The scripts of a MIME message.
fn multipart(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let text = text.replace("\r\n", "\n");
    let (headers, body) = text.split_once("\n\n").ok_or("user data: a MIME message without a body")?;
    let kind = header(headers, "content-type").unwrap_or_default();
    let Some(boundary) = parameter(&kind, "boundary") else {
        return Ok(part(headers, body)?.into_iter().collect());
    };
    let mut found = Vec::new();
    let delimiter = format!("--{boundary}");
    // What stands before the first delimiter is a preamble.
    for piece in format!("\n{body}").split(&format!("\n{delimiter}")).skip(1) {
        if piece.starts_with("--") {
            break;
        }
        let piece = piece.split_once('\n').map_or("", |(_, rest)| rest);
        // A part may have no headers at all: then it begins with the empty line.
        let (headers, body) = match piece.strip_prefix('\n') {
            Some(body) => ("", body),
            None => piece.split_once("\n\n").unwrap_or((piece, "")),
        };
        found.extend(part(headers, body)?);
    }
    Ok(found)
}

/// One part, if it is a script.
fn part(headers: &str, body: &str) -> Result<Option<Vec<u8>>, String> {
    use base64::Engine;
    let kind = header(headers, "content-type").unwrap_or_else(|| "text/plain".to_owned());
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let encoding = header(headers, "content-transfer-encoding").unwrap_or_default().to_ascii_lowercase();
    let content = if encoding.trim() == "base64" {
        let packed: String = body.split_whitespace().collect();
        base64::engine::general_purpose::STANDARD.decode(packed).map_err(|e| format!("user data: base64: {e}"))?
    } else {
        body.as_bytes().to_vec()
    };
    let script = kind == "text/x-shellscript" || (kind == "text/plain" && content.starts_with(b"#!"));
    Ok((script && !content.is_empty()).then_some(content))
}

/// A header's value, its continuation lines joined.
fn header(headers: &str, name: &str) -> Option<String> {
    let unfolded = headers.replace("\n ", " ").replace("\n\t", " ");
    unfolded.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// A parameter of a header's value, without its quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    value.split(';').skip(1).find_map(|piece| {
        let (key, value) = piece.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn check(data: &[u8], expected: &[&str]) {
        let found = scripts(data).unwrap();
        let found: Vec<&str> = found.iter().map(|script| std::str::from_utf8(script).unwrap()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_script_is_taken_as_it_is() {
        check(b"#!/bin/sh\necho \xc3\xa4\n", &["#!/bin/sh\necho ä\n"]);
    }

    #[test]
    fn gzip_is_unpacked_first() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"#!/bin/sh\ntrue\n").unwrap();
        check(&encoder.finish().unwrap(), &["#!/bin/sh\ntrue\n"]);
    }

    #[test]
    fn of_a_mime_message_the_scripts_run_in_order() {
        let message = "Content-Type: multipart/mixed; boundary=\"//\"\nMIME-Version: 1.0\n\npreamble\n--//\n\
            Content-Type: text/cloud-config; charset=\"us-ascii\"\n\nruncmd: []\n\n--//\n\
            Content-Type: text/x-shellscript; charset=\"us-ascii\"\nContent-Transfer-Encoding: 7bit\n\n#!/bin/bash\necho a\n\n--//\n\
            Content-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\n\nIyEvYmluL3NoCmVjaG8gYgo=\n--//--\n";
        check(message.as_bytes(), &["#!/bin/bash\necho a\n", "#!/bin/sh\necho b\n"]);
    }

    #[test]
    fn what_is_neither_is_refused_with_a_reason() {
        assert!(scripts(b"hello").unwrap_err().contains("neither"));
        assert!(scripts(b"#cloud-config\n").unwrap_err().contains("cloud-config"));
    }
}
