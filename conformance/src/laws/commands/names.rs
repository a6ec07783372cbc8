//! CB-01: names.

use crate::ask::name;
use crate::bus::{World, add, encoded, sent};
use crate::law::law;
use crate::{Trial, Verdict, expect_eq, expect_is};
use portolan_kernel::application::BuildError;
use portolan_kernel::drivers::RegisterError;
use portolan_kernel::ports::{CommandBus, CommandError};
use portolan_kernel::values::Name;

law! {
    dyn CommandBus, cb_01_names, "CB-01",
    "One handler a command name: a second is refused when the application is built. An unknown name is \
     CommandError::UnknownCommand.",
    checks: [an_unknown_name_is_told, a_second_handler_is_refused, it_names_what_it_takes],
}

async fn an_unknown_name_is_told(trial: &Trial<dyn CommandBus>) -> Verdict {
    let world = World::new(trial);
    let (app, tally) = (world.start().await?, world.own("a"));
    for unknown in
        ["no-such-command", "Add-Entries", "add-entries ", "add/entries", "add-entries?x=1", "a%2Fd", "..", "é"]
    {
        for command in [sent(add(&tally, &[1])), encoded(&add(&tally, &[1])).with_id(name("k"))] {
            let mut command = command;
            command.name = name(unknown);
            let error = app.refused(command).await?;
            expect_is!(error, CommandError::UnknownCommand(said) if said.as_str() == unknown, "the command {unknown:?}");
        }
    }
    expect_eq!(world.watch.seen().len(), 0, "decisions on commands of unknown names");
    app.took(encoded(&add(&tally, &[1])).with_id(name("k"))).await?;
    Ok(())
}

async fn a_second_handler_is_refused(trial: &Trial<dyn CommandBus>) -> Verdict {
    for built in World::new(trial).build_twice().await {
        let built = built.map(|_| "an application");
        expect_is!(
            built,
            Err(BuildError::Command(RegisterError::NameTaken { .. } | RegisterError::Twice { .. })),
            "an application in which a command has two handlers"
        );
    }
    Ok(())
}

async fn it_names_what_it_takes(trial: &Trial<dyn CommandBus>) -> Verdict {
    let app = World::new(trial).start().await?;
    let names: Vec<Name> = app.bus.commands().into_iter().map(|info| info.name).collect();
    let expected: Vec<Name> = ["add-entries", "close-tally", "limit-tally", "take-seat"].map(name).into();
    expect_eq!(names, expected, "the names of the commands it takes");
    Ok(())
}
