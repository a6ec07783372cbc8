//! CB-09: waiting for projections.

use super::deadlines::{SHORT, in_vain};
use super::duplicates::MOMENT;
use super::repetition::repeated;
use crate::ask::name;
use crate::bus::{BOARD, ELSEWHERE, INDEX, World, add, close, limit, sent};
use crate::law::law;
use crate::{Broken, Trial, Verdict, expect, expect_eq, expect_is};
use core::time::Duration;
use portolan_kernel::ports::{CommandBus, CommandError, Receipt};
use portolan_kernel::values::{Name, Position};

law! {
    dyn CommandBus, cb_09_waiting, "CB-09",
    "A command that waits for projections is answered once all have applied its events. A wait that ends before is \
     CommandError::NotCaughtUp with the receipt. Without events nothing is waited for; a repetition waits for its \
     original position.",
    checks: [
        answered_once_all_have_applied,
        a_wait_that_times_out,
        a_projection_that_has_stopped,
        an_unknown_projection,
        nothing_to_wait_for,
        a_repetition_waits_for_its_original_position,
    ],
}

fn position(receipt: &Receipt) -> Verdict<Position> {
    receipt.position.ok_or_else(|| Broken::new("the position in a receipt", "a position", "none"))
}

/// The position of the last event.
async fn frontier(world: &World<'_>) -> Verdict<Position> {
    let log = world.log().await?;
    log.last().map(|event| event.position).ok_or_else(|| Broken::new("the log", "an event", "none"))
}

/// Waits until the store has so many events.
async fn committed(world: &World<'_>, count: usize, patience: Duration) -> Verdict {
    let begun = std::time::Instant::now();
    while world.log().await?.len() < count {
        expect!(begun.elapsed() < patience, "{count} events, before anybody waits for projections");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn answered_once_all_have_applied(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let before = position(&app.took(sent(add(&tally, &[1]))).await?)?;
    let begun = app.begin(sent(add(&tally, &[1, 2])).wait_for(name(BOARD)).wait_for(name(INDEX)));
    committed(&world, 3, app.patience()).await?;
    world.projections.apply(INDEX, before);
    tokio::time::sleep(MOMENT).await;
    expect!(!begun.is_answered(), "no answer while no projection has applied the events");
    world.projections.apply(BOARD, frontier(&world).await?);
    tokio::time::sleep(MOMENT).await;
    expect!(!begun.is_answered(), "no answer while one projection has not applied the events");
    world.projections.apply(INDEX, frontier(&world).await?);
    let receipt = begun.receipt().await?;
    expect_eq!(receipt.position, Some(frontier(&world).await?), "the position in the receipt");
    world.projections.apply(BOARD, Position::MAX);
    app.took(sent(add(&tally, &[1])).wait_for(name(BOARD)).within(app.patience())).await?;
    Ok(())
}

/// The receipt and the projections of a wait that ended before.
fn not_caught_up(error: CommandError) -> Verdict<(Receipt, Vec<Name>)> {
    match error {
        CommandError::NotCaughtUp { receipt, waiting } => Ok((*receipt, waiting)),
        other => Err(Broken::new("a wait that ends before", "CommandError::NotCaughtUp", format!("{other:?}"))),
    }
}

async fn a_wait_that_times_out(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    world.projections.apply(INDEX, Position::MAX);
    let waiting = sent(add(&tally, &[1, 2])).wait_for(name(INDEX)).wait_for(name(BOARD)).with_id(name("k"));
    let (receipt, behind) = not_caught_up(in_vain(&app, &waiting).await?)?;
    let events = world.events(&tally).await?;
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    expect_eq!(receipt.events, ids, "the events in the receipt");
    expect_eq!(receipt.position, events.last().map(|event| event.position), "the position in the receipt");
    expect_eq!(behind, [name::<Name>(BOARD)], "the projections that have not applied the events");
    // The same again waits again, and commits nothing.
    let (again, behind) = not_caught_up(in_vain(&app, &waiting).await?)?;
    expect_eq!((again, behind), (repeated(&receipt), vec![name(BOARD)]), "the same, sent again");
    world.projections.apply(BOARD, position(&receipt)?);
    expect_eq!(app.took(waiting).await?, repeated(&receipt), "the same, once the projection has caught up");
    expect_eq!(world.events(&tally).await?, events, "the events after all that");
    Ok(())
}

async fn a_projection_that_has_stopped(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    world.projections.stop(BOARD);
    world.projections.apply(INDEX, Position::MAX);
    let waiting = sent(add(&tally, &[1])).wait_for(name(INDEX)).wait_for(name(BOARD));
    let (receipt, behind) = not_caught_up(app.refused(waiting).await?)?;
    expect_eq!(receipt.position, Some(frontier(&world).await?), "the position in the receipt");
    expect_eq!(behind, [name::<Name>(BOARD)], "the projections that have not applied the events");
    Ok(())
}

async fn an_unknown_projection(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let app = world.start().await?;
    for unknown in ["nobody", ELSEWHERE] {
        let tally = world.own(unknown);
        let command = sent(add(&tally, &[1])).with_id(name(unknown));
        let error = app.refused(command.clone().wait_for(name(unknown))).await?;
        let events = world.events(&tally).await?.len();
        match error {
            CommandError::NotCaughtUp { receipt, waiting } => {
                expect_eq!((receipt.events.len(), events), (1, 1), "events in the receipt, and in the log");
                expect_eq!(waiting, [name::<Name>(unknown)], "the projections that have not applied the events");
            }
            other => {
                expect!(other.to_string().contains(unknown), "the name of the projection in the error: {other}");
                expect_eq!(events, 0, "events of a command that was refused");
            }
        }
        app.took(command).await?;
        expect_eq!(world.events(&tally).await?.len(), 1, "events after it was sent again, and waits no longer");
    }
    Ok(())
}

async fn nothing_to_wait_for(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    app.took(sent(close(&tally))).await?;
    for command in [sent(close(&tally)), sent(close(&tally)).with_id(name("k")), sent(close(&tally)).with_id(name("k"))]
    {
        let receipt = app.took(command.wait_for(name(BOARD))).await?;
        expect_eq!(receipt.position, None, "the position of a command without events");
    }
    for command in [sent(add(&tally, &[1])), sent(add(&tally, &[0])), sent(limit(&tally, 1)).wait_for(name(INDEX))] {
        let error = app.answer(command.wait_for(name(BOARD)).within(SHORT)).await?.err();
        let is_refused = matches!(
            error,
            Some(
                CommandError::Rejected { .. }
                    | CommandError::Invalid(_)
                    | CommandError::NotCaughtUp { .. }
                    | CommandError::Unknown(_)
            )
        );
        expect!(is_refused, "a refusal at once, or a wait that ends, and not {error:?}");
    }
    let asked = world.projections.asked();
    let last = frontier(&world).await?;
    expect!(asked.iter().all(|(_, position)| *position == last), "no wait but for the one event: {asked:?}");
    Ok(())
}

async fn a_repetition_waits_for_its_original_position(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    let command = sent(add(&tally, &[1])).with_id(name("k"));
    let original = app.took(command.clone()).await?;
    app.took(sent(add(&tally, &[2]))).await?;
    let app = world.start().await?;
    let begun = app.begin(command.clone().wait_for(name(BOARD)));
    tokio::time::sleep(MOMENT).await;
    expect!(!begun.is_answered(), "no answer while the projection has not applied the original events");
    world.projections.apply(BOARD, position(&original)?);
    expect_eq!(begun.receipt().await?, repeated(&original), "the receipt, once it has, and has nothing later");
    expect_eq!(world.projections.asked(), [(name(BOARD), position(&original)?)], "who was waited for, up to where");
    let error = in_vain(&app, &command.wait_for(name(INDEX))).await?;
    expect_is!(error, CommandError::NotCaughtUp { .. }, "a repetition that waits for another projection");
    Ok(())
}
