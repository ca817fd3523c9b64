//! Who works on what, and when.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kexec_api::execution::spec::{Priority, TargetResource};
use kexec_core::queue::{Queue, TargetKey, Ticket, Turn};
use proptest::prelude::*;

use crate::support::{World, at};

fn key(name: &str) -> TargetKey {
    TargetKey::new(&TargetResource {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        namespace: Some("web".into()),
        name: Some(name.into()),
        ..TargetResource::default()
    })
}

fn ticket(uid: &str, target: &str, priority: Priority, created: Timestamp) -> Ticket {
    Ticket {
        uid: uid.into(),
        execution: format!("web/{uid}"),
        target: key(target),
        priority,
        created,
    }
}

fn normal(uid: &str, target: &str, created: i64) -> Ticket {
    ticket(uid, target, Priority::Normal, at(created))
}

fn busy(holder: &str, position: u32) -> Turn {
    Turn::TargetBusy {
        holder: format!("web/{holder}"),
        position,
    }
}

#[test]
fn a_target_is_its_group_kind_namespace_and_name_whatever_its_version() {
    let of = |api_version: &str, kind: &str, namespace: Option<&str>| {
        TargetKey::new(&TargetResource {
            api_version: api_version.into(),
            kind: kind.into(),
            namespace: namespace.map(str::to_owned),
            name: Some("shop".into()),
            ..TargetResource::default()
        })
    };
    assert_eq!(
        of("apps/v1", "Deployment", Some("web")),
        of("apps/v1beta1", "Deployment", Some("web"))
    );
    assert_eq!(of("v1", "Node", None), of("v1", "Node", Some("")));
    assert_ne!(
        of("apps/v1", "Deployment", Some("web")),
        of("other/v1", "Deployment", Some("web"))
    );
    assert_ne!(
        of("apps/v1", "Deployment", Some("web")),
        of("apps/v1", "StatefulSet", Some("web"))
    );
    assert_ne!(
        of("apps/v1", "Deployment", Some("web")),
        of("apps/v1", "Deployment", Some("api"))
    );
}

#[test]
fn a_ticket_names_its_execution() {
    let expected = Ticket {
        uid: "e-1".into(),
        execution: "web/scale-shop".into(),
        target: key("shop"),
        priority: Priority::Normal,
        created: at(0),
    };
    assert_eq!(Ticket::of(&World::new().execution), expected);
}

#[test]
fn one_at_a_time_works_on_a_target_and_the_others_wait_by_priority_then_age() {
    let mut queue = Queue::new(10);
    assert_eq!(queue.ask(&normal("a", "shop", 0)), Turn::Granted);
    assert_eq!(
        queue.ask(&normal("a", "shop", 0)),
        Turn::Granted,
        "asking again is free"
    );
    assert_eq!(queue.ask(&normal("c", "shop", 2)), busy("a", 1));
    assert_eq!(queue.ask(&normal("b", "shop", 1)), busy("a", 1));
    assert_eq!(queue.ask(&normal("c", "shop", 2)), busy("a", 2));
    assert_eq!(
        queue.ask(&ticket("d", "shop", Priority::Critical, at(3))),
        busy("a", 1)
    );
    assert_eq!(
        queue.ask(&ticket("e", "shop", Priority::Low, at(0))),
        busy("a", 4)
    );
    assert_eq!((queue.working(), queue.waiting()), (1, 4));
    let order = [
        ("a", ticket("d", "shop", Priority::Critical, at(3))),
        ("d", normal("b", "shop", 1)),
        ("b", normal("c", "shop", 2)),
        ("c", ticket("e", "shop", Priority::Low, at(0))),
    ];
    for (done, next) in order {
        assert_eq!(queue.release(done).first(), Some(&next.uid));
        assert_eq!(queue.ask(&next), Turn::Granted, "{}", next.uid);
    }
}

#[test]
fn tickets_of_one_age_are_told_apart_by_their_uid() {
    let mut queue = Queue::new(1);
    assert_eq!(queue.ask(&normal("z", "z", 0)), Turn::Granted);
    assert_eq!(
        queue.ask(&normal("b", "b", 1)),
        Turn::NoSlot { position: 1 }
    );
    assert_eq!(
        queue.ask(&normal("a", "a", 1)),
        Turn::NoSlot { position: 1 }
    );
    assert_eq!(
        queue.ask(&normal("b", "b", 1)),
        Turn::NoSlot { position: 2 }
    );
}

#[test]
fn a_newcomer_does_not_overtake_who_was_woken() {
    let mut queue = Queue::new(1);
    assert_eq!(queue.ask(&normal("a", "shop", 0)), Turn::Granted);
    assert_eq!(
        queue.ask(&normal("b", "api", 1)),
        Turn::NoSlot { position: 1 }
    );
    assert_eq!(queue.release("a"), ["b"]);
    assert_eq!(
        queue.ask(&normal("c", "cart", 2)),
        Turn::NoSlot { position: 2 }
    );
    assert_eq!(queue.ask(&normal("b", "api", 1)), Turn::Granted);
}

#[test]
fn who_leaves_the_queue_wakes_whom_it_kept_waiting() {
    let mut queue = Queue::new(1);
    assert_eq!(queue.ask(&normal("a", "shop", 0)), Turn::Granted);
    assert_eq!(queue.ask(&normal("b", "shop", 1)), busy("a", 1));
    assert_eq!(queue.ask(&normal("c", "shop", 2)), busy("a", 2));
    assert_eq!(queue.release("b"), Vec::<String>::new());
    assert_eq!(queue.release("a"), ["c"]);
    assert_eq!(
        queue.release("a"),
        Vec::<String>::new(),
        "given back already"
    );
    assert_eq!(queue.release("c"), Vec::<String>::new());
    assert_eq!((queue.working(), queue.waiting()), (0, 0));
}

#[test]
fn rivals_for_one_target_take_one_slot_and_no_more() {
    let mut queue = Queue::new(2);
    assert_eq!(queue.ask(&normal("x", "x", 0)), Turn::Granted);
    assert_eq!(queue.ask(&normal("y", "y", 0)), Turn::Granted);
    assert_eq!(
        queue.ask(&normal("a", "shop", 1)),
        Turn::NoSlot { position: 1 }
    );
    assert_eq!(
        queue.ask(&normal("b", "shop", 2)),
        Turn::NoSlot { position: 2 }
    );
    assert_eq!(
        queue.ask(&normal("c", "cart", 3)),
        Turn::NoSlot { position: 2 }
    );
    assert_eq!(queue.release("x"), ["a"]);
    assert_eq!(queue.release("y"), ["a", "c"]);
    assert_eq!(queue.ask(&normal("c", "cart", 3)), Turn::Granted);
    assert_eq!(
        queue.ask(&normal("b", "shop", 2)),
        Turn::NoSlot { position: 2 }
    );
    assert_eq!(queue.ask(&normal("a", "shop", 1)), Turn::Granted);
    assert_eq!(queue.ask(&normal("b", "shop", 2)), busy("a", 1));
}

#[test]
fn after_a_restart_those_at_work_hold_their_targets_again() {
    let mut queue = Queue::new(1);
    assert_eq!(queue.ask(&normal("b", "shop", 1)), Turn::Granted);
    assert_eq!(
        queue.ask(&normal("c", "cart", 1)),
        Turn::NoSlot { position: 1 }
    );
    queue.restore(normal("c", "cart", 1));
    queue.restore(normal("c", "cart", 1));
    assert_eq!(
        (queue.working(), queue.waiting()),
        (2, 0),
        "more than slots, for they work already"
    );
    assert_eq!(queue.ask(&normal("d", "cart", 2)), busy("c", 1));
    assert_eq!(
        queue.release("b"),
        Vec::<String>::new(),
        "the target of the only one that waits is busy"
    );
    assert_eq!(queue.release("c"), ["d"]);
}

#[test]
fn without_slots_nobody_works() {
    let mut queue = Queue::new(0);
    assert_eq!(
        queue.ask(&normal("a", "shop", 0)),
        Turn::NoSlot { position: 1 }
    );
    assert_eq!(queue.working(), 0);
}

/// One execution of the simulation.
fn tickets() -> impl Strategy<Value = Vec<Ticket>> {
    let one = (0..5_usize, 0..4_usize, 0..20_i64);
    prop::collection::vec(one, 1..40).prop_map(|all| {
        let made = all.into_iter().enumerate();
        made.map(|(index, (target, priority, created))| {
            ticket(
                &format!("u{index:02}"),
                &format!("t{target}"),
                Priority::ALL[priority],
                at(created),
            )
        })
        .collect()
    })
}

/// Checks what must hold after every step, and returns nothing else.
fn assert_exclusive(working: &BTreeSet<usize>, all: &[Ticket], slots: usize) {
    let targets: BTreeSet<&TargetKey> = working.iter().map(|index| &all[*index].target).collect();
    assert_eq!(targets.len(), working.len(), "two holders of one target");
    assert!(working.len() <= slots, "more holders than slots");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Each asks once when it comes and then only when it is woken, as the controller does. In whatever order things
    /// happen, everybody has had a turn in the end.
    #[test]
    fn whoever_asks_once_gets_a_turn(all in tickets(), slots in 1_usize..4, choices in prop::collection::vec(any::<u16>(), 400)) {
        let mut queue = Queue::new(slots);
        let (mut coming, mut woken): (Vec<usize>, BTreeSet<usize>) = ((0..all.len()).collect(), BTreeSet::new());
        let (mut working, mut done) = (BTreeSet::new(), BTreeSet::new());
        let mut choices = choices.into_iter().cycle().map(usize::from);
        let mut pick = |count: usize| choices.next().unwrap_or_default() % count.max(1);
        while done.len() < all.len() {
            let asks = match (pick(3), coming.is_empty(), woken.is_empty()) {
                (0, false, _) | (_, false, true) if pick(2) == 0 || working.is_empty() => {
                    Some(coming.swap_remove(pick(coming.len())))
                }
                (_, _, false) if pick(2) == 0 || working.is_empty() => {
                    let index = *woken.iter().nth(pick(woken.len())).expect("is woken");
                    woken.remove(&index);
                    Some(index)
                }
                _ => None,
            };
            match asks {
                Some(index) => {
                    if queue.ask(&all[index]) == Turn::Granted {
                        working.insert(index);
                    }
                }
                None if working.is_empty() && woken.is_empty() && coming.is_empty() => {
                    prop_assert!(false, "{} of {} wait for a wake-up that never comes", queue.waiting(), all.len());
                }
                None if working.is_empty() => {}
                None => {
                    let index = *working.iter().nth(pick(working.len())).expect("works");
                    working.remove(&index);
                    done.insert(index);
                    let next = queue.release(&all[index].uid);
                    woken.extend(next.iter().map(|uid| all.iter().position(|one| one.uid == *uid).expect("is known")));
                }
            }
            assert_exclusive(&working, &all, slots);
            prop_assert_eq!(queue.working(), working.len());
        }
    }

    /// Once nobody is left to be asked, no slot is free for somebody whose target is.
    #[test]
    fn no_slot_stays_free_while_a_target_is_and_somebody_waits_for_it(all in tickets(), slots in 1_usize..6, order in any::<u64>()) {
        let mut queue = Queue::new(slots);
        let mut working: BTreeSet<usize> = BTreeSet::new();
        let mut waiting: BTreeSet<usize> = BTreeSet::new();
        for (index, one) in all.iter().enumerate() {
            if queue.ask(one) == Turn::Granted { working.insert(index); } else { waiting.insert(index); }
        }
        let mut seed = order;
        while !working.is_empty() {
            let mut woken = BTreeSet::new();
            for _ in 0..=(seed % 2) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) >> 1;
                let Some(index) = working.iter().nth(usize::try_from(seed).unwrap() % working.len().max(1)).copied() else {
                    break;
                };
                working.remove(&index);
                woken.extend(queue.release(&all[index].uid));
            }
            let mut woken: Vec<String> = woken.into_iter().collect();
            if seed.is_multiple_of(3) {
                woken.reverse();
            }
            for uid in woken {
                let index = all.iter().position(|one| one.uid == uid).expect("is known");
                if queue.ask(&all[index]) == Turn::Granted {
                    waiting.remove(&index);
                    working.insert(index);
                }
            }
            let busy: BTreeSet<&TargetKey> = working.iter().map(|index| &all[*index].target).collect();
            let could = waiting.iter().filter(|index| !busy.contains(&all[**index].target)).count();
            prop_assert!(could == 0 || working.len() == slots, "{could} could work, {} of {slots} do", working.len());
        }
        prop_assert_eq!(waiting.len(), 0);
    }
}
