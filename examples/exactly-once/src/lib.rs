//! A transfer of money whose effect happens exactly once.
