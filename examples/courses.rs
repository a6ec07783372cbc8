//! Courses: a limit of places a course, and a limit of courses a student. Neither is a matter of one stream.
//!
//! ```text
//! cargo run --example courses
//! ```
//!
//! Each decision depends on the events that a query chooses by their tags, and is appended under a guard with the
//! same query: whoever enrols in between makes it anew. So the limits hold with any number of rivals, in one process
//! or several, without locks.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use core::error::Error;
use core::marker::PhantomData;
use portolan::prelude::*;
use portolan::values::{Item, Tag};
use serde::{Deserialize, Serialize};

/// How many courses a student may attend.
const COURSES_OF_A_STUDENT: usize = 3;

// What happens. The tags are what decisions find it by.

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(category = "course")]
enum CourseEvent {
    Defined {
        #[tag]
        course: String,
        places: usize,
    },
    PlacesChanged {
        #[tag]
        course: String,
        places: usize,
    },
    Enrolled {
        #[tag]
        course: String,
        #[tag]
        student: String,
    },
    Left {
        #[tag]
        course: String,
        #[tag]
        student: String,
    },
}

impl CourseEvent {
    fn course(&self) -> &str {
        match self {
            Self::Defined { course, .. } | Self::PlacesChanged { course, .. } => course,
            Self::Enrolled { course, .. } | Self::Left { course, .. } => course,
        }
    }
}

fn course_tag(course: &str) -> Result<Tag, InvalidName> {
    Tag::new(format!("course:{course}"))
}

fn student_tag(student: &str) -> Result<Tag, InvalidName> {
    Tag::new(format!("student:{student}"))
}

fn stream_of(event: &CourseEvent) -> Result<StreamId, InvalidName> {
    StreamId::new(format!("course-{}", event.course()))
}

// What can be asked for.

/// Offers a course, once.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
struct DefineCourse {
    course: String,
    places: usize,
}

/// Offers more places, or fewer, but not fewer than are taken.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
struct ChangePlaces {
    course: String,
    places: usize,
}

/// Takes a place.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
struct Enrol {
    course: String,
    student: String,
}

/// Gives a place back.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
struct Leave {
    course: String,
    student: String,
}

// Why it is refused.

#[derive(Rejection, thiserror::Error, Serialize, Deserialize, Clone, Debug, PartialEq)]
enum Refused {
    #[error("the course is defined already")]
    AlreadyDefined,
    #[error("there is no such course; define it first")]
    NoCourse,
    #[error("all {places} places are taken")]
    Full { places: usize },
    #[error("{taken} places are taken; fewer cannot be offered")]
    TooFew { taken: usize },
    #[error("the student attends {courses} courses, which is the most")]
    TooManyCourses { courses: usize },
    #[error("the student is enrolled already")]
    AlreadyEnrolled,
    #[error("the student is not enrolled")]
    NotEnrolled,
}

// Who decides. One course is what three decisions depend on; an enrolment also depends on the student's other courses.

/// One course, as far as its own events tell.
#[derive(Default, Debug)]
struct Course {
    places: Option<usize>,
    students: Vec<String>,
}

impl Course {
    fn evolve(&mut self, event: &CourseEvent) {
        match event {
            CourseEvent::Defined { places, .. } | CourseEvent::PlacesChanged { places, .. } => {
                self.places = Some(*places);
            }
            CourseEvent::Enrolled { student, .. } => self.students.push(student.clone()),
            CourseEvent::Left { student, .. } => self.students.retain(|other| other != student),
        }
    }

    fn places(&self) -> Result<usize, Refused> {
        self.places.ok_or(Refused::NoCourse)
    }

    fn has(&self, student: &String) -> bool {
        self.students.contains(student)
    }
}

/// A command that depends on one course alone.
trait AsksCourse: Command {
    fn course(&self) -> &str;
    fn decide(&self, course: &Course) -> Result<Vec<CourseEvent>, Refused>;
}

/// Decides on it.
#[derive(Debug)]
struct OneCourse<C>(Course, PhantomData<fn() -> C>);

impl<C: AsksCourse> DecisionModel for OneCourse<C> {
    type Command = C;
    type Event = CourseEvent;
    type Rejection = Refused;

    fn query(command: &C) -> Result<Query, InvalidName> {
        Ok(Query::of(Item::new().tag(course_tag(command.course())?)))
    }

    fn start(_: &C) -> Self {
        Self(Course::default(), PhantomData)
    }

    fn evolve(&mut self, event: &CourseEvent) {
        self.0.evolve(event);
    }

    fn decide(&self, command: &C, _: &Context) -> Result<Vec<CourseEvent>, Refused> {
        command.decide(&self.0)
    }

    fn stream(event: &CourseEvent) -> Result<StreamId, InvalidName> {
        stream_of(event)
    }
}

impl AsksCourse for DefineCourse {
    fn course(&self) -> &str {
        &self.course
    }

    fn decide(&self, course: &Course) -> Result<Vec<CourseEvent>, Refused> {
        match course.places {
            Some(_) => Err(Refused::AlreadyDefined),
            None => Ok(vec![CourseEvent::Defined { course: self.course.clone(), places: self.places }]),
        }
    }
}

impl AsksCourse for ChangePlaces {
    fn course(&self) -> &str {
        &self.course
    }

    fn decide(&self, course: &Course) -> Result<Vec<CourseEvent>, Refused> {
        match (course.places()?, course.students.len()) {
            (_, taken) if self.places < taken => Err(Refused::TooFew { taken }),
            (places, _) if places == self.places => Ok(vec![]),
            _ => Ok(vec![CourseEvent::PlacesChanged { course: self.course.clone(), places: self.places }]),
        }
    }
}

impl AsksCourse for Leave {
    fn course(&self) -> &str {
        &self.course
    }

    fn decide(&self, course: &Course) -> Result<Vec<CourseEvent>, Refused> {
        course.places()?;
        if !course.has(&self.student) {
            return Err(Refused::NotEnrolled);
        }
        Ok(vec![CourseEvent::Left { course: self.course.clone(), student: self.student.clone() }])
    }
}

/// Depends on the course and on the student's other courses.
#[derive(Debug)]
struct Enrolment {
    enrol: Enrol,
    course: Course,
    courses_of_student: usize,
}

impl DecisionModel for Enrolment {
    type Command = Enrol;
    type Event = CourseEvent;
    type Rejection = Refused;

    fn query(command: &Enrol) -> Result<Query, InvalidName> {
        let of_course = Item::new().tag(course_tag(&command.course)?);
        Ok(Query::of(of_course).or(Item::new().tag(student_tag(&command.student)?)))
    }

    fn start(command: &Enrol) -> Self {
        Self { enrol: command.clone(), course: Course::default(), courses_of_student: 0 }
    }

    fn evolve(&mut self, event: &CourseEvent) {
        if event.course() == self.enrol.course {
            self.course.evolve(event);
        }
        match event {
            CourseEvent::Enrolled { student, .. } if *student == self.enrol.student => self.courses_of_student += 1,
            CourseEvent::Left { student, .. } if *student == self.enrol.student => {
                self.courses_of_student = self.courses_of_student.saturating_sub(1);
            }
            _ => {}
        }
    }

    fn decide(&self, command: &Enrol, _: &Context) -> Result<Vec<CourseEvent>, Refused> {
        let places = self.course.places()?;
        if self.course.has(&command.student) {
            return Err(Refused::AlreadyEnrolled);
        }
        if self.course.students.len() >= places {
            return Err(Refused::Full { places });
        }
        if self.courses_of_student >= COURSES_OF_A_STUDENT {
            return Err(Refused::TooManyCourses { courses: self.courses_of_student });
        }
        Ok(vec![CourseEvent::Enrolled { course: command.course.clone(), student: command.student.clone() }])
    }

    fn stream(event: &CourseEvent) -> Result<StreamId, InvalidName> {
        stream_of(event)
    }
}

// The program: a rush for few places.

async fn school(storage: impl Into<Storage>, runtime: Runtime) -> Result<Application, BuildError> {
    Application::builder(storage, runtime)
        .decision::<OneCourse<DefineCourse>>()
        .decision::<OneCourse<ChangePlaces>>()
        .decision::<OneCourse<Leave>>()
        .decision::<Enrolment>()
        .build()
        .await
}

/// Has every student ask for every course at once, by turns through each of the schools.
async fn rush(schools: &[Ports], courses: usize, students: usize) -> Result<[usize; 3], Box<dyn Error>> {
    let mut asked = Vec::new();
    for n in 0..courses * students {
        let school = schools[n % schools.len()].clone();
        let enrol = Enrol { course: format!("c{}", n % courses), student: format!("s{}", n / courses) };
        asked.push(tokio::spawn(async move { school.commands.send(enrol).await }));
    }
    let [mut enrolled, mut full, mut busy] = [0; 3];
    for answer in asked {
        match answer.await? {
            Ok(_) => enrolled += 1,
            Err(error) => match Refused::of(&error) {
                Some(Refused::Full { .. }) => full += 1,
                Some(Refused::TooManyCourses { .. }) => busy += 1,
                _ => return Err(error.into()),
            },
        }
    }
    Ok([enrolled, full, busy])
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let school = school(MemoryStore::new(), Runtime::tokio()).await?;
    let ports = school.ports();
    for n in 0..10 {
        ports.commands.send(DefineCourse { course: format!("c{n}"), places: 20 }).await?;
    }
    let [enrolled, full, busy] = rush(core::slice::from_ref(&ports), 10, 100).await?;
    println!("10 courses of 20 places, 100 students who want them all, {COURSES_OF_A_STUDENT} for each at most:");
    println!("{enrolled} enrolled; {full} met a full course; {busy} attended {COURSES_OF_A_STUDENT} courses already");
    school.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use CourseEvent::{Defined, Enrolled, Left, PlacesChanged};
    use std::collections::BTreeMap;

    /// What a model decides after these events, of which it sees those that its query chooses.
    fn decide<M>(past: &[CourseEvent], command: M::Command) -> Result<Vec<CourseEvent>, Refused>
    where
        M: DecisionModel<Event = CourseEvent, Rejection = Refused>,
    {
        let query = M::query(&command).expect("the test's names are names");
        let mut state = M::start(&command);
        for event in past {
            let (stream, id) = (stream_of(event).expect("a stream"), portolan::values::EventId::from_bytes([0; 16]));
            let stored = portolan::domain::new_event(event, stream, id, portolan::Bytes::new()).expect("it has a form");
            if query.matches(&stored) {
                state.evolve(event);
            }
        }
        state.decide(&command, &Context::for_test())
    }

    fn defined(course: &str, places: usize) -> CourseEvent {
        Defined { course: course.into(), places }
    }

    fn enrolled(course: &str, student: &str) -> CourseEvent {
        Enrolled { course: course.into(), student: student.into() }
    }

    fn left(course: &str, student: &str) -> CourseEvent {
        Left { course: course.into(), student: student.into() }
    }

    fn enrol(course: &str, student: &str) -> Enrol {
        Enrol { course: course.into(), student: student.into() }
    }

    #[test]
    fn a_course_takes_as_many_as_it_has_places() {
        let past = [defined("rust", 2), enrolled("rust", "ann"), defined("go", 9), enrolled("go", "eve")];
        assert_eq!(decide::<Enrolment>(&past, enrol("rust", "bob")), Ok(vec![enrolled("rust", "bob")]));
        assert_eq!(decide::<Enrolment>(&past, enrol("rust", "ann")), Err(Refused::AlreadyEnrolled));
        let past = [&past[..], &[enrolled("rust", "bob")]].concat();
        assert_eq!(decide::<Enrolment>(&past, enrol("rust", "eve")), Err(Refused::Full { places: 2 }));
        let past = [&past[..], &[left("rust", "ann")]].concat();
        assert_eq!(decide::<Enrolment>(&past, enrol("rust", "eve")), Ok(vec![enrolled("rust", "eve")]));
        assert_eq!(decide::<Enrolment>(&past, enrol("java", "eve")), Err(Refused::NoCourse));
    }

    #[test]
    fn a_student_attends_so_many_courses() {
        let past = ["a", "b", "c"].map(|course| enrolled(course, "ann"));
        let past = [&[defined("d", 9)], &past[..]].concat();
        assert_eq!(decide::<Enrolment>(&past, enrol("d", "ann")), Err(Refused::TooManyCourses { courses: 3 }));
        let past = [&past[..], &[left("b", "ann")]].concat();
        assert_eq!(decide::<Enrolment>(&past, enrol("d", "ann")), Ok(vec![enrolled("d", "ann")]));
    }

    #[test]
    fn places_are_never_fewer_than_those_taken() {
        let past = [defined("rust", 3), enrolled("rust", "ann"), enrolled("rust", "bob")];
        let change = |places| decide::<OneCourse<ChangePlaces>>(&past, ChangePlaces { course: "rust".into(), places });
        assert_eq!(change(2), Ok(vec![PlacesChanged { course: "rust".into(), places: 2 }]));
        assert_eq!(change(1), Err(Refused::TooFew { taken: 2 }));
        assert_eq!(change(3), Ok(vec![]));
    }

    #[test]
    fn courses_are_defined_once_and_left_by_who_attends() {
        let define = DefineCourse { course: "rust".into(), places: 1 };
        assert_eq!(decide::<OneCourse<DefineCourse>>(&[], define.clone()), Ok(vec![defined("rust", 1)]));
        assert_eq!(decide::<OneCourse<DefineCourse>>(&[defined("rust", 9)], define), Err(Refused::AlreadyDefined));
        let leave = || Leave { course: "rust".into(), student: "ann".into() };
        let past = [defined("rust", 1), enrolled("rust", "ann")];
        assert_eq!(decide::<OneCourse<Leave>>(&past, leave()), Ok(vec![left("rust", "ann")]));
        assert_eq!(decide::<OneCourse<Leave>>(&past[..1], leave()), Err(Refused::NotEnrolled));
    }

    /// Two applications on one file, as two processes would be; 8 students who want all of 5 courses.
    async fn rush_for(places: usize) -> [usize; 3] {
        let file = std::env::temp_dir().join(format!("courses-{}-{places}.db", std::process::id()));
        let mut schools = Vec::new();
        for _ in 0..2 {
            let store = SqliteStore::open(&file).await.expect("it opens");
            schools.push(school(store, Runtime::tokio()).await.expect("it is registered rightly").ports());
        }
        for n in 0..5 {
            let define = DefineCourse { course: format!("c{n}"), places };
            schools[0].commands.send(define).await.expect("it is new");
        }
        let outcome = rush(&schools, 5, 8).await.expect("every student has an answer");

        let (mut of_course, mut of_student) = (BTreeMap::new(), BTreeMap::new());
        let page = schools[1].events.read(portolan::values::Read::log(Query::all())).await.expect("it reads");
        assert_eq!(page.next, None);
        for event in page.events.iter().filter(|event| &*event.event_type == "course.enrolled") {
            *of_course.entry(event.tags[0].clone()).or_insert(0) += 1;
            *of_student.entry(event.tags[1].clone()).or_insert(0) += 1;
        }
        assert_eq!(of_course.values().sum::<usize>(), outcome[0]);
        assert!(of_course.values().all(|taken| *taken <= places), "{of_course:?}");
        assert!(of_student.values().all(|courses| *courses <= COURSES_OF_A_STUDENT), "{of_student:?}");
        drop(schools);
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
        }
        outcome
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_rush_breaks_the_limit_of_a_course() {
        let [enrolled, full, busy] = rush_for(4).await;
        assert!(enrolled <= 5 * 4 && full > 0);
        assert_eq!(enrolled + full + busy, 5 * 8);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_rush_breaks_the_limit_of_a_student() {
        assert_eq!(rush_for(8).await, [8 * COURSES_OF_A_STUDENT, 0, 8 * 2]);
    }
}
