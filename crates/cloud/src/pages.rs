//! Pages: a limit, and an opaque token that says where the next one begins.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Cuts a page out of items in a stable order, each with its key. The token names the last key given, so that items that come and
/// go between two calls move no others.
///
/// # Errors
/// The token is none of ours.
pub fn page<T>(
    items: impl IntoIterator<Item = (String, T)>,
    token: Option<&str>,
    limit: Option<usize>,
) -> Result<(Vec<T>, Option<String>), BadToken> {
    let after = token.map(decode).transpose()?;
    let limit = limit.unwrap_or(usize::MAX);
    let mut out = Vec::new();
    let mut last = String::new();
    for (key, item) in items {
        if after.as_ref().is_some_and(|after| key <= *after) {
            continue;
        }
        if out.len() == limit {
            return Ok((out, Some(encode(&last))));
        }
        out.push(item);
        last = key;
    }
    Ok((out, None))
}

/// A page token that is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadToken;

fn encode(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("zonal:{key}"))
}

fn decode(token: &str) -> Result<String, BadToken> {
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| BadToken)?;
    let text = String::from_utf8(bytes).map_err(|_| BadToken)?;
    text.strip_prefix("zonal:").map(ToOwned::to_owned).ok_or(BadToken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pages_put_together_are_the_whole(count in 0usize..40, limit in 1usize..10) {
            let items: Vec<(String, usize)> = (0..count).map(|i| (format!("{i:03}"), i)).collect();
            let mut seen = Vec::new();
            let mut token = None;
            loop {
                let (mut got, next) = page(items.clone(), token.as_deref(), Some(limit)).unwrap();
                prop_assert!(got.len() <= limit);
                seen.append(&mut got);
                match next {
                    Some(next) => token = Some(next),
                    None => break,
                }
            }
            prop_assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_foreign_token_is_refused() {
        assert_eq!(page([("a".to_owned(), 1)], Some("!"), None), Err(BadToken));
    }
}
