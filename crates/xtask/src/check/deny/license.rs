//! SPDX licence expressions: is one of the ways to use a crate allowed?

/// Whether `expression` can be satisfied with licences of `allowed`: `OR` needs one side, `AND` both. The old `/` of
/// crates means `OR`; `X WITH Y` is one licence and has to be allowed as such.
///
/// # Errors
/// What is wrong with the expression.
pub fn is_allowed(expression: &str, allowed: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut words = Words { left: spaced.split_whitespace().collect(), allowed };
    words.left.reverse();
    let answer = words.any()?;
    match words.left.pop() {
        None => Ok(answer),
        Some(word) => Err(format!("{word:?} is in the way")),
    }
}

/// The words that are left, the next one last.
struct Words<'a> {
    left: Vec<&'a str>,
    allowed: &'a [String],
}

impl Words<'_> {
    fn eat(&mut self, word: &str) -> bool {
        let there = self.left.last() == Some(&word);
        if there {
            self.left.pop();
        }
        there
    }

    fn any(&mut self) -> Result<bool, String> {
        let mut answer = self.all()?;
        while self.eat("OR") {
            answer |= self.all()?;
        }
        Ok(answer)
    }

    fn all(&mut self) -> Result<bool, String> {
        let mut answer = self.one()?;
        while self.eat("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.eat("(") {
            let answer = self.any()?;
            return if self.eat(")") { Ok(answer) } else { Err("a parenthesis is not closed".to_owned()) };
        }
        let name = self.left.pop().filter(|word| !["AND", "OR", "WITH", ")"].contains(word));
        let mut name = name.ok_or("a licence is missing")?.to_owned();
        if self.eat("WITH") {
            name = format!("{name} WITH {}", self.left.pop().ok_or("an exception is missing")?);
        }
        Ok(self.allowed.contains(&name))
    }
}
