//! Pages of the documentation, for tests that run what stands there.

use std::path::Path;

/// A page of the documentation.
pub struct Page {
    pub text: String,
}

impl Page {
    pub fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
        Self { text: std::fs::read_to_string(path).unwrap() }
    }

    /// The blocks of a language under a heading, without the indentation of the list that they stand in.
    pub fn blocks(&self, heading: &str, language: &str) -> Vec<String> {
        let (_, section) = self.text.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
        let section = section.split("\n## ").next().unwrap();
        let mut blocks = Vec::new();
        let mut lines = section.lines();
        while let Some(line) = lines.next() {
            let indentation = line.len() - line.trim_start().len();
            if line.trim_start() == format!("```{language}") {
                let body = lines.by_ref().take_while(|line| line.trim_start() != "```");
                blocks.push(body.map(|line| line.get(indentation..).unwrap_or("").to_owned() + "\n").collect());
            }
        }
        assert!(!blocks.is_empty(), "{heading} has no {language}");
        blocks
    }
}
