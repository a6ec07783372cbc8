//! Random logs, copied by runs that end at random: the copy is what the model says.

use super::between::Wrong;
use super::checks::run_for;
use super::history::{Old, World, is_as_the_model, small_limits};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn whatever_the_log_and_wherever_runs_end_it_is_the_model(
        events in vec((0..9_usize, 1..5_u8, any::<bool>()), 0..60),
        more in vec((0..9_usize, 1..5_u8, any::<bool>()), 0..20),
        lives in vec(0..60_usize, 0..6),
        batch in 1..8_u32,
        is_small: bool,
        keeps_times: bool,
    ) {
        let old = |events: Vec<(usize, u8, bool)>| -> Vec<Old> {
            events.into_iter().map(|(kind, stream, together)| Old { kind, stream, together }).collect()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let limits = if is_small { small_limits() } else { portolan::ports::Limits::default() };
            let world = World::with_limits(Wrong::Nothing, limits);
            world.write(&old(events)).await;
            let migration = || {
                let migration = world.migration().batch(batch);
                if keeps_times { migration.keep_times(world.target_time.clone()) } else { migration }
            };
            for polls in lives {
                run_for(&migration(), polls);
            }
            world.write(&old(more)).await;
            migration().run(|_| {}).await.unwrap();
            is_as_the_model(&*world.source, &*world.target).await.unwrap();
            prop_assert_eq!(migration().verify().await.unwrap().missing, 0);
            Ok(())
        })?;
    }
}
