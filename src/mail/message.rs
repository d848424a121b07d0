//! The text of a mail. Its plain text and its HTML are rendered from the same paragraphs.

use askama::Template;

/// What a mail says.
#[derive(Clone, Debug)]
pub(crate) struct MailMessage {
    /// One line.
    pub(crate) subject: String,
    pub(crate) paragraphs: Vec<MailParagraph>,
}

#[derive(Clone, Debug)]
pub(crate) enum MailParagraph {
    Text(String),
    /// What the link does, and its address.
    Link {
        label: String,
        url: String,
    },
    /// Text by someone else. Its line breaks are kept.
    Quote(String),
}

impl MailMessage {
    /// A message without paragraphs.
    pub(crate) fn new(subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), paragraphs: Vec::new() }
    }

    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(MailParagraph::Text(text.into()));
        self
    }

    pub(crate) fn link(mut self, label: &str, url: String) -> Self {
        self.paragraphs.push(MailParagraph::Link { label: label.to_owned(), url });
        self
    }

    pub(crate) fn quote(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(MailParagraph::Quote(text.into()));
        self
    }

    /// The plain text and the HTML. `origin` is the address of this installation, which the last line names.
    pub(super) fn render(&self, origin: &str) -> Result<(String, String), askama::Error> {
        let text = PlainText { message: self, origin }.render()?;
        let html = Html { message: self, origin }.render()?;
        Ok((text, html))
    }
}

#[derive(Template)]
#[template(path = "mail/message.txt")]
struct PlainText<'a> {
    message: &'a MailMessage,
    origin: &'a str,
}

#[derive(Template)]
#[template(path = "mail/message.html")]
struct Html<'a> {
    message: &'a MailMessage,
    origin: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_html_say_the_same_and_html_is_escaped() {
        let message = MailMessage::new("A <subject>")
            .text("Tom & Jerry invite you.")
            .link("Accept", "https://keys.example.org/x?a=1&b=2".to_owned())
            .quote("<b>one</b>\ntwo");

        let (text, html) = message.render("https://keys.example.org").unwrap();

        assert_eq!(
            text,
            "Tom & Jerry invite you.\n\nAccept:\nhttps://keys.example.org/x?a=1&b=2\n\n<b>one</b>\ntwo\n\n\
             -- \nSent by Uptok at https://keys.example.org"
        );
        for escaped in
            ["Tom &#38; Jerry", "href=\"https://keys.example.org/x?a=1&#38;b=2\"", "&#60;b&#62;one"]
        {
            assert!(html.contains(escaped), "{escaped} is not in {html}");
        }
        assert!(html.contains("color-scheme") && !html.contains("<b>one"));
    }
}
