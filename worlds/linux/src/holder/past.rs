//! Consoles of sandboxes that are no more: what a machine said last is looked for once it is gone.

use std::collections::VecDeque;

/// How much is kept of them all, bytes: sixteen full ones, or hundreds that said little.
const ALL: usize = 1 << 20;

/// The consoles that ended last, the oldest first.
#[derive(Default)]
pub(super) struct Past {
    consoles: VecDeque<(String, Vec<u8>)>,
    length: usize,
}

impl Past {
    /// Keeps a console, and lets go of the oldest where there are too many.
    pub(super) fn keep(&mut self, id: String, console: Vec<u8>) {
        self.length += id.len() + console.len();
        self.consoles.push_back((id, console));
        while self.length > ALL
            && let Some((id, console)) = self.consoles.pop_front()
        {
            self.length -= id.len() + console.len();
        }
    }

    /// What a sandbox said; nothing where it is not known any more.
    pub(super) fn console(&self, id: &str) -> Option<&[u8]> {
        self.consoles.iter().rev().find(|(of, _)| of == id).map(|(_, console)| console.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_consoles_are_kept_and_no_more_than_there_is_room_for() {
        let mut past = Past::default();
        for number in 0..40_u8 {
            past.keep(format!("i-{number}"), vec![number; 64 << 10]);
        }
        past.keep("i-39".to_owned(), b"again".to_vec());
        assert_eq!(past.console("i-39"), Some(&b"again"[..]), "the newest of that name");
        assert_eq!(past.console("i-38"), Some(&[38; 64 << 10][..]));
        assert_eq!(past.console("i-3"), None);
        let kept: usize = past.consoles.iter().map(|(id, console)| id.len() + console.len()).sum();
        assert!(kept == past.length && kept <= ALL, "{kept}");
    }
}
