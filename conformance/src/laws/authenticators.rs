//! AU-01 to AU-04: who sends a request.

use crate::alterations::{Altered, mixed, odd, one_wrong, same, small, whole};
use crate::issued::{Issued, secret};
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::error::Error;
use core::time::Duration;
use portolan_kernel::ports::{AuthenticationError, Credentials};
use portolan_kernel::values::Timestamp;
use std::collections::BTreeMap;

law! {
    Issued, au_01_callers, "AU-01",
    "Credentials that are good give the caller they were issued for; the same ones give the same, as long as they are \
     good.",
    checks: [
        good_ones_give_their_caller,
        many_at_once_give_theirs,
        a_scheme_is_read_in_any_case,
        refusals_change_nothing,
        good_until_the_end if [Expiry],
    ],
}

law! {
    Issued, au_02_refusals, "AU-02",
    "Whatever else is shown is refused: altered, cut short, made longer, of another scheme, empty, expired or revoked. No \
     text makes it panic.",
    checks: [
        one_character_is_enough,
        what_is_changed_as_a_whole_is_refused,
        parts_of_two_are_none,
        what_was_nobodys_is_refused,
        what_was_good_is_refused if [Revocation],
        nothing_is_good_past_its_end if [Expiry],
    ],
}

law! {
    Issued, au_03_nothing_shown, "AU-03",
    "A request that shows nothing is `Missing`, or gets the caller that is meant for such, always the same; it never gets \
     one that credentials were issued for.",
    checks: [nothing_shown_is_always_the_same, nobody_is_none_of_the_known],
}

law! {
    Issued, au_04_words, "AU-04",
    "What it says of a refusal repeats no secret, nor which part of it was right.",
    checks: [refusals_repeat_no_secret, the_challenge_tells_nothing, words_tell_not_which_part_was_right],
}

async fn good_ones_give_their_caller(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    for _ in 0..3 {
        for (text, caller) in issued.known() {
            issued.knows(text, caller, "good credentials").await?;
            issued.knows(text, caller, "the same ones again").await?;
        }
    }
    for (text, caller) in issued.known().iter().rev() {
        issued.knows(text, caller, "good credentials, in another order").await?;
    }
    Ok(())
}

async fn many_at_once_give_theirs(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    let mut asked = Vec::new();
    for (text, caller) in issued.known().iter().cycle().take(trial.rounds(200).max(32)) {
        let (authenticator, shown) = (issued.authenticator().clone(), Credentials::new(text));
        let found = tokio::spawn(async move { authenticator.authenticate(&shown).await });
        asked.push((found, caller));
    }
    for (found, caller) in asked {
        match found.await {
            Ok(Ok(found)) => expect_eq!(found, *caller, "a caller among many at once"),
            other => expect!(false, "{} to be known among many at once, and not {other:?}", caller.name()),
        }
    }
    Ok(())
}

async fn a_scheme_is_read_in_any_case(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    for (text, caller) in issued.known() {
        let Some((scheme, secret)) = text.split_once(' ') else { continue };
        for scheme in [scheme.to_ascii_lowercase(), scheme.to_ascii_uppercase()] {
            issued.knows(&format!("{scheme} {secret}"), caller, "the scheme in another case").await?;
        }
    }
    Ok(())
}

async fn refusals_change_nothing(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    for (text, caller) in issued.known() {
        for wrong in one_wrong(text, trial.rounds(60)) {
            // AU-02 speaks of it.
            let _ = issued.shown(&wrong.text).await;
        }
        issued.knows(text, caller, "good credentials, after many refusals").await?;
        let _ = issued.authenticator().authenticate(&Credentials::none()).await;
        issued.knows(text, caller, "good credentials, after none").await?;
    }
    Ok(())
}

/// The moments when good credentials end, from the first.
fn ends(issued: &Issued) -> Vec<Timestamp> {
    let mut ends: Vec<_> = issued.known().iter().filter_map(|(_, caller)| caller.until).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

fn move_to(trial: &Trial<Issued>, micros: u64) {
    let now = portolan_kernel::ports::Clock::now(trial.clock()).as_micros();
    trial.clock().advance(Duration::from_micros(micros.saturating_sub(now)));
}

async fn good_until_the_end(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    for end in ends(&issued) {
        move_to(trial, end.as_micros().saturating_sub(1));
        for (text, caller) in issued.known().iter().filter(|(_, caller)| caller.until.is_none_or(|until| until >= end))
        {
            issued.knows(text, caller, "credentials a moment before their end").await?;
        }
    }
    Ok(())
}

async fn nothing_is_good_past_its_end(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    for end in ends(&issued) {
        for later in [0, 1, 1_000_000, 86_400_000_000] {
            move_to(trial, end.as_micros() + later);
            for (text, caller) in issued.known() {
                if caller.until.is_some_and(|until| until <= end) {
                    issued.refuses(text, "credentials that have expired").await?;
                }
            }
        }
    }
    Ok(())
}

/// Shows each: it is refused; or, where it is only another way to write good ones, these callers' or refused.
async fn all_refused(issued: &Issued, all: Vec<Altered>) -> Verdict {
    let mut tried = 0;
    for Altered { how, text } in all {
        match issued.known().iter().find(|(good, _)| same(good, &text)) {
            None => {
                issued.refuses(&text, &how).await?;
                tried += 1;
            }
            Some((good, _)) => {
                if let (Ok(found), Ok(caller)) = (issued.shown(&text).await, issued.shown(good).await) {
                    expect_eq!(found, caller, "the caller of good credentials that are written as {text:?}");
                }
            }
        }
    }
    expect!(tried > 0, "something to be refused");
    Ok(())
}

async fn one_character_is_enough(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    for text in issued.texts() {
        all_refused(&issued, small(text, trial.rounds(60).max(24))).await?;
    }
    Ok(())
}

async fn what_is_changed_as_a_whole_is_refused(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    for text in issued.texts() {
        all_refused(&issued, whole(text)).await?;
        all_refused(&issued, one_wrong(text, trial.rounds(60))).await?;
    }
    Ok(())
}

async fn parts_of_two_are_none(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    for one in issued.texts() {
        for other in issued.texts().into_iter().filter(|other| *other != one) {
            all_refused(&issued, mixed(one, other)).await?;
        }
    }
    Ok(())
}

async fn what_was_nobodys_is_refused(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    all_refused(&issued, odd()).await
}

async fn what_was_good_is_refused(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    for text in issued.spent_ones() {
        match issued.shown(text).await {
            // Who has been shut out is still known.
            Err(AuthenticationError::Refused(_) | AuthenticationError::Denied(_)) => {}
            other => expect!(false, "{text:?}, which is expired or revoked, to be refused, and not {other:?}"),
        }
    }
    Ok(())
}

async fn nothing_shown_is_always_the_same(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    let none = async || issued.authenticator().authenticate(&Credentials::none()).await;
    for (text, _) in issued.known() {
        for _ in 0..2 {
            match issued.for_nobody() {
                Some(meant) => match none().await {
                    Ok(found) => expect_eq!(found, *meant, "the caller of a request that shows nothing"),
                    other => expect!(false, "{meant:?} for a request that shows nothing, and not {other:?}"),
                },
                None => {
                    expect_is!(none().await, Err(AuthenticationError::Missing), "a request that shows nothing");
                }
            }
            let _ = issued.shown(text).await;
        }
    }
    Ok(())
}

async fn nobody_is_none_of_the_known(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    if let Ok(found) = issued.authenticator().authenticate(&Credentials::none()).await {
        let known = issued.known().iter().any(|(_, caller)| *caller == found);
        expect!(!known, "nobody's credentials for a request that shows nothing, and not those of {}", found.name());
    }
    Ok(())
}

/// All that an error tells, in any way.
fn words(error: &AuthenticationError) -> String {
    let mut words = format!("{error}\n{error:?}\n{error:#?}");
    let mut cause = error.source();
    while let Some(next) = cause {
        words += &format!("\n{next}\n{next:?}");
        cause = next.source();
    }
    words
}

/// Pieces of secrets so long that no message has them by chance.
fn pieces<'a>(issued: &'a Issued) -> Vec<&'a str> {
    const LENGTH: usize = 8;
    let texts = issued.texts().into_iter().chain(issued.spent_ones().iter().map(String::as_str));
    let pieces = |text: &'a str| {
        let secret = secret(text);
        let length = LENGTH.min(secret.len());
        (0..=secret.len() - length).map(move |at| &secret[at..at + length])
    };
    texts.flat_map(pieces).collect()
}

fn repeated<'a>(words: &str, pieces: &[&'a str]) -> Option<&'a str> {
    pieces.iter().find(|piece| words.contains(**piece)).copied()
}

async fn refusals_repeat_no_secret(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    let pieces = pieces(&issued);
    let mut shown: Vec<String> = issued.spent_ones().to_vec();
    for text in issued.texts() {
        let altered = small(text, trial.rounds(30)).into_iter().chain(whole(text)).chain(one_wrong(text, 8));
        shown.extend(altered.map(|altered| altered.text));
    }
    let mut heard = BTreeMap::new();
    for text in shown {
        if let Err(error) = issued.shown(&text).await {
            heard.entry(words(&error)).or_insert(text);
        }
    }
    expect!(!heard.is_empty(), "a refusal whose words can be looked at");
    for (words, text) in heard {
        if let Some(piece) = repeated(&words, &pieces) {
            return Err(Broken::new(
                format!("the words for {text:?}"),
                "no piece of a secret",
                format!("{piece:?} in {words}"),
            ));
        }
    }
    Ok(())
}

async fn the_challenge_tells_nothing(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    let challenge = issued.authenticator().challenge();
    let sendable = !challenge.is_empty() && challenge.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    expect!(sendable, "a challenge that a header can carry, in place of {challenge:?}");
    let piece = repeated(&challenge, &pieces(&issued));
    expect_eq!(piece, None, "the secret in the challenge {challenge:?}");
    for text in issued.texts() {
        let _ = issued.shown(text).await;
        expect_eq!(issued.authenticator().challenge(), challenge, "the challenge after a request");
    }
    Ok(())
}

async fn words_tell_not_which_part_was_right(trial: &Trial<Issued>) -> Verdict {
    let issued = trial.issued().await?;
    let mut heard: BTreeMap<String, String> = BTreeMap::new();
    for text in issued.texts() {
        for wrong in one_wrong(text, trial.rounds(120).max(24)) {
            // One that is let in is for AU-02.
            if let Err(error) = issued.shown(&wrong.text).await {
                heard.entry(words(&error)).or_insert(wrong.how);
            }
        }
    }
    expect!(heard.len() <= 1, "the same words whatever is wrong, and not {heard:#?}");
    Ok(())
}
