//! From a notice to words: a platform-neutral message in a language, within a budget.
