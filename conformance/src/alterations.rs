//! Good credentials, altered in many ways.

use crate::issued::secret;

/// What is shown in place of good credentials, and how it came to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Altered {
    pub(crate) how: String,
    pub(crate) text: String,
}

fn altered(how: impl Into<String>, text: impl Into<String>) -> Altered {
    Altered { how: how.into(), text: text.into() }
}

/// Whether two texts show the same: schemes are read in any case, and spaces around what belongs to one do not count
/// (RFC 9110, section 11.4).
pub(crate) fn same(one: &str, other: &str) -> bool {
    let parts = |text: &str| {
        let text = text.trim_matches([' ', '\t']);
        match text.split_once([' ', '\t']) {
            Some((scheme, secret)) => (scheme.to_ascii_lowercase(), secret.trim_matches([' ', '\t']).to_owned()),
            None => (String::new(), text.to_owned()),
        }
    };
    parts(one) == parts(other)
}

/// So many places in a text, spread over it, with its ends and what stands beside its separators.
fn places(text: &str, many: usize) -> Vec<usize> {
    let len = text.len();
    let spread = (0..many).map(|n| n * len / many);
    let separators = text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b' ' | b'.' | b':')).take(8);
    let beside = separators.flat_map(|(at, _)| [at.saturating_sub(1), at, at + 1]);
    let ends = (0..3).chain(len.saturating_sub(4)..len);
    let mut places: Vec<_> = spread.chain(beside).chain(ends).filter(|at| *at < len).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// One character changed, lost, added or moved, at places all over the text.
pub(crate) fn small(good: &str, many: usize) -> Vec<Altered> {
    let mut all = Vec::new();
    for at in places(good, many) {
        let (before, here, after) = (&good[..at], good.as_bytes()[at], &good[at + 1..]);
        for bit in 0..8 {
            let flipped = char::from(here ^ (1 << bit));
            all.push(altered(format!("bit {bit} of character {at} flipped"), format!("{before}{flipped}{after}")));
        }
        all.push(altered(format!("without character {at}"), format!("{before}{after}")));
        all.push(altered(format!("cut off before character {at}"), before));
        all.push(altered(format!("begun at character {at}"), &good[at..]));
        let kept = char::from(here);
        for added in [kept, 'A', '0', '=', '.', ',', ' ', '\0', '\n', '\u{e9}', '\u{1f5dd}'] {
            all.push(altered(format!("with {added:?} before character {at}"), format!("{before}{added}{kept}{after}")));
        }
        if let Some(next) = after.chars().next() {
            let moved = format!("{before}{next}{kept}{}", &after[1..]);
            all.push(altered(format!("characters {at} and {} in the other order", at + 1), moved));
        }
    }
    all
}

/// Other schemes, other alphabets, more around it, more of it.
pub(crate) fn whole(good: &str) -> Vec<Altered> {
    let secret = secret(good);
    let scheme = good.strip_suffix(secret).unwrap_or_default().trim_matches(' ');
    let mut all = vec![
        altered("in capitals", format!("{scheme} {}", secret.to_uppercase())),
        altered("in small letters", format!("{scheme} {}", secret.to_lowercase())),
        altered("backwards", format!("{scheme} {}", secret.chars().rev().collect::<String>())),
        altered("without its scheme", secret),
        altered("its scheme alone", scheme),
        altered("its scheme and a space", format!("{scheme} ")),
        altered("its scheme twice", format!("{scheme} {scheme} {secret}")),
        altered("its scheme joined to it", format!("{scheme}{secret}")),
        altered("twice", format!("{scheme} {secret}{secret}")),
        altered("twice, with a space", format!("{scheme} {secret} {secret}")),
        altered("twice, as a list", format!("{good}, {good}")),
        altered("with a parameter", format!("{good}, realm=\"a\"")),
        altered("another one before it", format!("{scheme} x, {good}")),
        altered("in quotes", format!("{scheme} \"{secret}\"")),
        altered("as a parameter", format!("{scheme} token={secret}")),
        altered("with a byte order mark", format!("{scheme} \u{feff}{secret}")),
        altered("in wide letters", format!("{scheme} {}", wide(secret))),
        altered("with percent signs", format!("{scheme} {}", percent(secret))),
        altered("with more text than anybody reads", format!("{good}{}", "A".repeat(1 << 20))),
        altered("of more parts than anybody reads", format!("{good}{}", ".e30".repeat(1 << 18))),
    ];
    for other in ["Basic", "Token", "Digest", "Negotiate", "B\u{e9}arer"] {
        if !scheme.eq_ignore_ascii_case(other) {
            all.push(altered(format!("of the scheme {other}"), format!("{other} {secret}")));
        }
    }
    for end in ["=", "==", ".", "\n", "\r\n", "\0", "%00", "\u{a0}", "\u{2003}", "\r\nAuthorization: x", ";", "/"] {
        all.push(altered(format!("with {end:?} at its end"), format!("{good}{end}")));
        all.push(altered(format!("with {end:?} at its beginning"), format!("{scheme} {end}{secret}")));
    }
    for (from, to) in [('-', '+'), ('_', '/'), ('+', '-'), ('/', '_'), ('=', ' ')] {
        all.push(altered(
            format!("with {to:?} for {from:?}"),
            format!("{scheme} {}", secret.replace(from, &to.to_string())),
        ));
    }
    if let [_, claims, signature] = secret.split('.').collect::<Vec<_>>()[..] {
        // {"alg":"none"}, {"alg":"None"}, {"typ":"JWT","alg":"none"}
        for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJOb25lIn0", "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0"] {
            all.push(altered("a token that says it has no signature", format!("{scheme} {header}.{claims}.")));
            all.push(altered("a token that says so and has one", format!("{scheme} {header}.{claims}.{signature}")));
            all.push(altered("a token of two parts", format!("{scheme} {header}.{claims}")));
        }
    }
    all
}

fn wide(text: &str) -> String {
    text.chars()
        .map(|c| char::from_u32(u32::from(c) + 0xfee0).filter(|_| c.is_ascii_alphanumeric()).unwrap_or(c))
        .collect()
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Parts of the one and parts of the other.
pub(crate) fn mixed(one: &str, other: &str) -> Vec<Altered> {
    let (mine, theirs) = (secret(one), secret(other));
    let scheme = one.strip_suffix(mine).unwrap_or_default().trim_matches(' ');
    let half = mine.len().min(theirs.len()) / 2;
    let mut all = vec![
        altered("two joined", format!("{scheme} {mine}{theirs}")),
        altered("two with a space", format!("{scheme} {mine} {theirs}")),
        altered("two with a comma", format!("{scheme} {mine},{theirs}")),
        altered("two as a list", format!("{one}, {other}")),
        altered("two on two lines", format!("{one}\n{other}")),
        altered(
            "the first half of one and the second of another",
            format!("{scheme} {}{}", &mine[..half], &theirs[half..]),
        ),
    ];
    let (mine, theirs): (Vec<_>, Vec<_>) = (mine.split('.').collect(), theirs.split('.').collect());
    if mine.len() == theirs.len() && mine.len() > 1 {
        for part in 0..mine.len() {
            let mut parts = mine.clone();
            parts[part] = theirs[part];
            all.push(altered(format!("part {part} of another's"), format!("{scheme} {}", parts.join("."))));
        }
    }
    all
}

/// What never was anybody's.
pub(crate) fn odd() -> Vec<Altered> {
    let texts =
        ["", " ", "\t", "\0", "Bearer", "Bearer ", "Bearer  ", "Bearer .", "Bearer ..", "Bearer ...", "Bearer null"];
    let more = [
        "Basic Og==",
        "Bearer {}",
        "Bearer e30.e30.",
        "Bearer \u{1f5dd}\u{fe0f}",
        "\u{202e}reraeB x",
        "\u{130} \u{130}",
        ", ,",
    ];
    let mut all: Vec<_> = texts.into_iter().chain(more).map(|text| altered("nobody's", text)).collect();
    for (part, times) in [
        ("A", 1 << 20),
        (".", 1 << 20),
        (" ", 1 << 20),
        ("Bearer ", 100_000),
        ("{\"a\":", 100_000),
        ("\u{1f5dd}", 1 << 18),
    ] {
        all.push(altered("nobody's, and giant", part.repeat(times)));
        all.push(altered("nobody's, and giant", format!("Bearer {}", part.repeat(times))));
    }
    all
}

/// As long as the good ones and of the same letters and signs, with one wrong character each; the last has no right one.
pub(crate) fn one_wrong(good: &str, many: usize) -> Vec<Altered> {
    let begin = good.len() - secret(good).len();
    let mut all = Vec::new();
    for at in places(good, many).into_iter().filter(|at| *at >= begin) {
        let (here, next) = (char::from(good.as_bytes()[at]), turned(good.as_bytes()[at]));
        if next != here {
            let text = format!("{}{next}{}", &good[..at], &good[at + 1..]);
            all.push(altered(format!("character {at} wrong"), text));
        }
    }
    let wrong: String = good[begin..].bytes().map(turned).collect();
    all.push(altered("every character wrong", format!("{}{wrong}", &good[..begin])));
    all
}

/// Another character of the same kind, far enough for no decoding to take them for one.
fn turned(byte: u8) -> char {
    let turn = |first: u8, of: u8| char::from(first + (byte - first + of / 2) % of);
    match byte {
        b'a'..=b'z' => turn(b'a', 26),
        b'A'..=b'Z' => turn(b'A', 26),
        b'0'..=b'9' => turn(b'0', 10),
        other => char::from(other),
    }
}
