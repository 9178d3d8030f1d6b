//! The report of rule tests that build servers read: JUnit's XML.

use std::io;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

/// Some cases of one file.
pub(super) struct Suite {
    /// The file.
    pub name: String,
    /// What was run.
    pub cases: Vec<Case>,
}

/// One case, and what came of it.
pub(super) struct Case {
    /// What it is called.
    pub name: String,
    /// How long it took; `None` if it did not run.
    pub took: Option<Duration>,
    /// Why it did not pass.
    pub fault: Option<Fault>,
}

/// Why a case did not pass.
pub(super) enum Fault {
    /// It ran, and something else came than was expected: how they differ.
    Failure(String),
    /// It could not run: why.
    Error(String),
}

impl Suite {
    fn count(&self, is: fn(&Fault) -> bool) -> usize {
        self.cases.iter().filter_map(|case| case.fault.as_ref()).filter(|fault| is(fault)).count()
    }
}

fn is_failure(fault: &Fault) -> bool {
    matches!(fault, Fault::Failure(_))
}

fn is_error(fault: &Fault) -> bool {
    matches!(fault, Fault::Error(_))
}

/// Writes the report.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(out: impl io::Write, suites: &[Suite]) -> io::Result<()> {
    let mut xml = Writer::new_with_indent(out, b' ', 4);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let sum = |count: &dyn Fn(&Suite) -> usize| suites.iter().map(count).sum::<usize>().to_string();
    let all = xml.create_element("testsuites").with_attributes([
        ("name", "podbell test"),
        ("tests", &sum(&|suite| suite.cases.len())),
        ("skipped", "0"),
        ("failures", &sum(&|suite| suite.count(is_failure))),
        ("errors", &sum(&|suite| suite.count(is_error))),
    ]);
    all.write_inner_content(|xml| suites.iter().try_for_each(|suite| write_suite(xml, suite)))?;
    writeln!(xml.get_mut())
}

fn write_suite(xml: &mut Writer<impl io::Write>, suite: &Suite) -> io::Result<()> {
    let element = xml.create_element("testsuite").with_attributes([
        ("name", suite.name.as_str()),
        ("tests", &suite.cases.len().to_string()),
        ("skipped", "0"),
        ("errors", &suite.count(is_error).to_string()),
        ("failures", &suite.count(is_failure).to_string()),
    ]);
    element.write_inner_content(|xml| suite.cases.iter().try_for_each(|case| write_case(xml, case)))?;
    Ok(())
}

fn write_case(xml: &mut Writer<impl io::Write>, case: &Case) -> io::Result<()> {
    let mut element = xml.create_element("testcase").with_attribute(("name", case.name.as_str()));
    if let Some(took) = case.took {
        element = element.with_attribute(("time", format!("{:.3}", took.as_secs_f64()).as_str()));
    }
    match &case.fault {
        None => element.write_empty()?,
        Some(Fault::Failure(difference)) => element.write_inner_content(|xml| {
            let failure = xml.create_element("failure").with_attribute(("message", "told something else than it must"));
            failure.write_text_content(BytesText::new(difference)).map(drop)
        })?,
        Some(Fault::Error(why)) => element.write_inner_content(|xml| {
            xml.create_element("error").with_attribute(("message", why.as_str())).write_empty().map(drop)
        })?,
    };
    Ok(())
}
