//! Reading rows: which edition answers, and what it answers.

use super::errors;
use super::registry::Stored;
use super::standing::{Standing, checkpoint};
use super::waiting::{self, Reader};
use crate::ports::{ProjectionError, RowError, RowsAnswer, RowsQuestion, WaitError, WhichRows};
use crate::values::{Collection, Edition, Find};

/// How often an edition is chosen anew that was removed before it could be read.
const CHOICES: u32 = 8;

/// The rows that are asked for, all of one edition.
pub(super) async fn rows(of: &Stored, question: RowsQuestion) -> Result<RowsAnswer, ProjectionError> {
    let reader = match &question.rows {
        WhichRows::Page { after: Some(cursor), .. } => Reader::Of(Edition::stored(cursor.version)),
        _ => Reader::Prefers(question.prefer),
    };
    let mut left = CHOICES;
    loop {
        let chosen = match question.at_least {
            Some(position) => waiting::reach(of, reader, position).await.map_err(waited)?,
            None => None,
        };
        let chosen = match chosen {
            Some(collection) => collection,
            None => choose(of, reader).await.map_err(errors::rows)?.ok_or_else(|| not_there(of, reader))?,
        };
        left -= 1;
        match answer(of, chosen, &question.rows).await {
            // It was removed since it was chosen.
            Err(RowError::UnknownCollection { .. } | RowError::Gone { .. }) if left > 0 => {}
            Err(RowError::UnknownCollection { .. } | RowError::Gone { .. }) => return Err(not_there(of, reader)),
            answered => return answered.map_err(errors::rows),
        }
    }
}

fn not_there(of: &Stored, reader: Reader) -> ProjectionError {
    let name = of.model().name.clone();
    match reader {
        Reader::Of(edition) => ProjectionError::Gone { name, edition },
        Reader::Prefers(_) => ProjectionError::NotReady(name),
    }
}

fn waited(error: WaitError) -> ProjectionError {
    match error {
        WaitError::Busy(source) => ProjectionError::Busy(source),
        WaitError::Other(source) => ProjectionError::Other(source),
        other => ProjectionError::Wait(other),
    }
}

/// The rows of the edition that answers this reader; `None` while there is none.
///
/// # Errors
///
/// What reading rows may fail with.
pub(super) async fn choose(of: &Stored, reader: Reader) -> Result<Option<Collection>, RowError> {
    let model = of.model();
    let versions = of.env.rows.versions(model.name.clone()).await?;
    let active = versions.active.map(Edition::stored);
    let edition = match reader {
        Reader::Of(edition) => Some(edition),
        // The newest of the active version that may be read is the active one: both are said in one batch.
        Reader::Prefers(prefer) if prefer.is_none_or(|version| active.is_some_and(|of| of.version == version)) => {
            active
        }
        Reader::Prefers(prefer) => Standing::load(&of.env, model).await?.read_by(prefer),
    };
    let edition = match (edition, reader) {
        (Some(edition), Reader::Prefers(_)) if edition.rebuild > 0 => Some(not_back(of, edition).await?),
        (edition, _) => edition,
    };
    let version = edition.map(Edition::to_stored);
    Ok(versions.defined.into_iter().find(|collection| Some(collection.version) == version))
}

/// The rebuild, or the edition before as long as that has more events in it: its worker goes on until it has seen that the
/// rebuild is there, and whoever has read an event goes on reading it. Once it has been left nobody goes back to it.
async fn not_back(of: &Stored, rebuild: Edition) -> Result<Edition, RowError> {
    if *of.switched.lock().await == Some(rebuild) {
        return Ok(rebuild);
    }
    let (env, model) = (&*of.env, of.model());
    let standing = Standing::load(env, model).await?;
    if let Some(before) = standing.switched_from(rebuild) {
        let (stands, stood) = (checkpoint(env, model, rebuild).await?, checkpoint(env, model, before).await?);
        if stood.store == stands.store && stood.position > stands.position {
            return Ok(before);
        }
    }
    *of.switched.lock().await = Some(rebuild);
    Ok(rebuild)
}

async fn answer(of: &Stored, collection: Collection, which: &WhichRows) -> Result<RowsAnswer, RowError> {
    let (rows, name, version) = (&of.env.rows, collection.name.clone(), collection.version);
    let found = match which {
        WhichRows::Keys(keys) => rows.get(name, Some(version), keys.clone()).await?,
        WhichRows::Page { by, direction, limit, after } => {
            let mut find = Find::by(name, by.clone()).version(version).limit(*limit).after(after.clone());
            find.direction = *direction;
            rows.find(find).await?
        }
    };
    Ok(RowsAnswer::new(collection, found.rows, found.next))
}
