//! Reads: pages of streams and of the log, and what a store keeps beside it.

use super::jars::SealJar;
use super::outcome::{frontier, name, outcome, pages, position_of, stream};
use super::table::{come_out_alike, steps};
use portolan::drivers::command_scope;
use portolan::prelude::*;
use portolan::values::{Item, Read};

async fn capabilities(ports: &Ports) -> String {
    format!("{:?}", ports.events.capabilities())
}

async fn paged(ports: &Ports, read: Read) -> String {
    outcome(pages(ports, read.limit(2)).await)
}

async fn whole_stream(ports: &Ports) -> String {
    paged(ports, Read::stream(stream("jar-a"))).await
}

async fn stream_backward(ports: &Ports) -> String {
    paged(ports, Read::stream(stream("jar-c")).backward().limit(1)).await
}

async fn stream_after(ports: &Ports) -> String {
    paged(ports, Read::stream_after(stream("jar-a"), Some(Revision::FIRST))).await
}

async fn stream_before(ports: &Ports) -> String {
    paged(ports, Read::stream_after(stream("jar-a"), Some(Revision::new(1))).backward()).await
}

async fn stream_past_its_end(ports: &Ports) -> String {
    paged(ports, Read::stream_after(stream("jar-a"), Some(Revision::new(9)))).await
}

async fn no_stream(ports: &Ports) -> String {
    paged(ports, Read::stream(stream("jar-größer/ 🦀?"))).await
}

async fn whole_log(ports: &Ports) -> String {
    paged(ports, Read::log(Query::all())).await
}

async fn whole_log_with_system(ports: &Ports) -> String {
    paged(ports, Read::log(Query::all().with_system())).await
}

async fn log_backward(ports: &Ports) -> String {
    paged(ports, Read::log(Query::all()).backward()).await
}

async fn log_after(ports: &Ports) -> String {
    let after = position_of(ports, "note-1").await;
    paged(ports, Read::log_after(Query::all(), Some(after))).await
}

async fn log_until(ports: &Ports) -> String {
    let until = position_of(ports, "jar-a").await;
    paged(ports, Read::log(Query::all()).until(Some(until))).await
}

async fn log_backward_until(ports: &Ports) -> String {
    let until = position_of(ports, "jar-a").await;
    paged(ports, Read::log(Query::all()).backward().until(Some(until))).await
}

async fn by_tag(ports: &Ports) -> String {
    paged(ports, Read::log(Query::of(Item::new().tag("by:ann".parse().unwrap())))).await
}

async fn by_type_and_category(ports: &Ports) -> String {
    let item = Item::new().category(name("jar")).event_type("jar.sealed".parse().unwrap());
    paged(ports, Read::log(Query::of(item))).await
}

async fn by_this_or_that(ports: &Ports) -> String {
    let query = Query::stream(stream("$audit-1")).or(Item::new().tag("by:bob".parse().unwrap()));
    paged(ports, Read::log(query.or(Item::new().stream(stream("jar-b")).stream(stream("jar-c")))).backward()).await
}

async fn nothing_matches(ports: &Ports) -> String {
    paged(ports, Read::log(Query::of(Item::new().tag("by:nobody".parse().unwrap())))).await
}

async fn page_of_nothing(ports: &Ports) -> String {
    outcome(ports.events.read(Read::log(Query::all()).limit(0)).await)
}

async fn too_many_terms(ports: &Ports) -> String {
    let item = (0..1_001).fold(Item::new(), |item, n| item.tag(format!("t-{n}").try_into().unwrap()));
    outcome(ports.events.read(Read::log(Query::of(item))).await)
}

async fn of_a_command(ports: &Ports) -> String {
    ports.commands.send(SealJar { jar: "e".into() }).id("k-1").correlation("c").await.unwrap();
    outcome(ports.events.recall(command_scope("seal-jar", None), name("k-1")).await)
}

async fn not_recalled(ports: &Ports) -> String {
    outcome(ports.events.recall(name("command"), name("größer/?")).await)
}

async fn unknown_checkpoint(ports: &Ports) -> String {
    outcome(ports.events.checkpoint(name("größer/?")).await)
}

async fn changed_already(ports: &Ports) -> String {
    outcome(ports.events.changed(Query::all(), None).await)
}

async fn changed_in_the_meantime(ports: &Ports) -> String {
    let query = Query::of(Item::new().category(name("jar")));
    let changed = ports.events.changed(query, Some(frontier(ports).await));
    let fill = async {
        let sealed = ports.commands.send(SealJar { jar: "f".into() }).id("k-2").await;
        sealed.map(|receipt| receipt.position)
    };
    let (changed, sealed) = futures::future::join(changed, fill).await;
    format!("{}, {}", outcome(changed), outcome(sealed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_come_out_alike() {
    come_out_alike(&steps![
        capabilities => "Capabilities",
        whole_stream => "[Page { events: [Recorded",
        stream_backward => "[Page { events: [Recorded",
        stream_after => "[Page { events: [Recorded",
        stream_before => "[Page { events: [Recorded",
        stream_past_its_end => "[Page { events: []",
        no_stream => "[Page { events: []",
        whole_log => "[Page { events: [Recorded",
        whole_log_with_system => "[Page { events: [Recorded",
        log_backward => "[Page { events: [Recorded",
        log_after => "[Page { events: [Recorded",
        log_until => "[Page { events: [Recorded",
        log_backward_until => "[Page { events: [Recorded",
        by_tag => "[Page { events: [Recorded",
        by_type_and_category => "[Page { events: [Recorded",
        by_this_or_that => "[Page { events: [Recorded",
        nothing_matches => "[Page { events: []",
        page_of_nothing => "Invalid",
        too_many_terms => "TooLarge",
        of_a_command => "Some(Recalled",
        not_recalled => "None",
        unknown_checkpoint => "CheckpointState",
        changed_already => "()",
        changed_in_the_meantime => "(), Some(",
    ])
    .await;
}
