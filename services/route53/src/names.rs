//! Domain names as Route 53 writes them: in lowercase, absolute, and with an octal escape for every octet that is neither a letter,
//! a digit, a hyphen, an underscore nor a dot between labels. Source: Route 53 Developer Guide, "DNS domain name format".

/// A name in Route 53's form; `None` where the text is no name.
#[must_use]
pub fn normal(text: &str) -> Option<String> {
    let mut out = String::new();
    let (mut label, mut whole) = (0, 1);
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'.' => {
                if label == 0 {
                    return None;
                }
                label = 0;
                out.push('.');
                continue;
            }
            b'\\' => escaped(&mut octets)?,
            0x21..=0x7e => octet,
            _ => return None,
        };
        // Each label has its length before it, and the root's is counted already.
        whole += if label == 0 { 2 } else { 1 };
        label += 1;
        if label > 63 || whole > 255 {
            return None;
        }
        let octet = octet.to_ascii_lowercase();
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_') {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("\\{octet:03o}"));
        }
    }
    if label > 0 {
        out.push('.');
    }
    (!out.is_empty()).then_some(out)
}

/// Three octal digits.
fn escaped(octets: &mut std::str::Bytes<'_>) -> Option<u8> {
    let mut value: u32 = 0;
    for _ in 0..3 {
        value = value * 8 + char::from(octets.next()?).to_digit(8)?;
    }
    u8::try_from(value).ok()
}

/// A name (in normal form) with its labels in reverse, which is how record sets and zones are ordered: `com.example.www.`
#[must_use]
pub fn reversed(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for label in name.trim_end_matches('.').rsplit('.') {
        out.push_str(label);
        out.push('.');
    }
    out
}

/// Whether a name lies in a zone; both in normal form.
#[must_use]
pub fn is_in(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_in_normal_form_is_its_own_normal_form(text in "[ -~]{1,80}") {
            if let Some(name) = normal(&text) {
                prop_assert_eq!(normal(&name), Some(name.clone()));
                prop_assert!(reversed(&reversed(&name)) == name && is_in(&name, &name));
            }
        }

        /// The plane refuses a zone whole for one name that is none.
        #[test]
        fn what_is_a_name_here_is_one_where_it_is_served(text in "([a-z]{1,63}\\.){0,5}[a-z]{0,63}") {
            if let Some(name) = normal(&text) {
                prop_assert!(zonal_dns::check_value("PTR", &name).is_ok());
            }
        }

        #[test]
        fn no_text_is_too_strange_to_be_judged(text in ".{0,300}") {
            let _ = normal(&text);
        }
    }

    #[test]
    fn names_are_lowercase_absolute_and_escaped_in_octal() {
        for (text, expected) in [
            ("Example.COM", Some("example.com.")),
            ("example.com.", Some("example.com.")),
            ("*.example.com", Some("\\052.example.com.")),
            ("\\052.example.com", Some("\\052.example.com.")),
            ("_sip._tcp.example.com", Some("_sip._tcp.example.com.")),
            ("a/b.example.com", Some("a\\057b.example.com.")),
            ("a..com", None),
            (".com", None),
            ("", None),
            ("a b.com", None),
            ("\\05.com", None),
        ] {
            assert_eq!(normal(text).as_deref(), expected, "{text}");
        }
        assert!(normal(&"a".repeat(64)).is_none());
    }

    #[test]
    fn a_name_has_255_octets_with_its_lengths_at_most() {
        let of = |last: usize| ["a".repeat(63), "a".repeat(63), "a".repeat(63), "a".repeat(last)].join(".");
        for (text, fits) in [(of(61), true), (of(61) + ".", true), (of(62), false), (of(62) + ".", false)] {
            assert_eq!(normal(&text).is_some(), fits, "{} characters", text.len());
            assert_eq!(
                zonal_dns::check_value("PTR", &text).is_ok(),
                fits,
                "what is a name here is one where it is served"
            );
        }
    }

    #[test]
    fn labels_are_ordered_from_the_right() {
        assert_eq!(reversed("www.example.com."), "com.example.www.");
        assert!(is_in("www.example.com.", "example.com.") && is_in("example.com.", "example.com."));
        assert!(!is_in("wwwexample.com.", "example.com."));
    }
}
