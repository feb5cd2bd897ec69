//! Templates of operations under way, read once: an operation looks at its template at every step.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::template::transforms::Values;
use crate::template::{Template, TemplateError};

/// A text and what it reads as.
type Read = (String, Values, Arc<Template>);

/// The templates, by the stack. What is kept is only what reading the text would give: a step is the same without it.
#[derive(Default)]
pub struct Parsed(Mutex<BTreeMap<String, Read>>);

impl Parsed {
    /// A stack's template of that text, for these values of its parameters.
    ///
    /// # Errors
    /// The text is none.
    pub fn read(&self, stack: &str, text: &str, values: Values) -> Result<Arc<Template>, TemplateError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., template)) = kept.get(stack).filter(|(same, with, _)| same == text && *with == values) {
            return Ok(template.clone());
        }
        let template = Arc::new(Template::parse(text, &values)?);
        kept.insert(stack.to_owned(), (text.to_owned(), values, template.clone()));
        Ok(template)
    }

    /// A stack's operation has ended.
    pub fn forget(&self, stack: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(stack);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_read_once_until_it_is_another_or_the_operation_ends() {
        let parsed = Parsed::default();
        let text =
            |cidr: &str| format!("Resources: {{V: {{Type: 'AWS::EC2::VPC', Properties: {{CidrBlock: {cidr}}}}}}}");
        let read = |text: &str| parsed.read("s", text, Values::new()).unwrap();
        let first = read(&text("10.0.0.0/16"));
        assert!(Arc::ptr_eq(&first, &read(&text("10.0.0.0/16"))));
        let other = read(&text("10.1.0.0/16"));
        assert!(!Arc::ptr_eq(&first, &other) && Arc::ptr_eq(&other, &read(&text("10.1.0.0/16"))));
        parsed.forget("s");
        assert!(!Arc::ptr_eq(&other, &read(&text("10.1.0.0/16"))));
        assert!(parsed.read("s", "Resources: [", Values::new()).is_err());
    }
}
