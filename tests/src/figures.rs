//! Named figures in the order they were put, written as one flat JSON object. Nothing is calculated here: what has
//! decimals comes so from whoever measured it.

use std::fmt;

use serde_json::Number;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    Whole(u64),
    /// As somebody else measured it.
    Measured(Number),
    Text(String),
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => write!(f, "{number}"),
            Self::Measured(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    named: Vec<(String, Figure)>,
}

impl Figures {
    pub fn put(&mut self, name: &str, figure: Figure) {
        self.named.push((name.to_owned(), figure));
    }

    fn of(&self, name: &str) -> Option<&Figure> {
        self.named
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, figure)| figure)
    }

    /// Empty when there is no such figure.
    pub fn shown(&self, name: &str) -> String {
        self.of(name).map(ToString::to_string).unwrap_or_default()
    }

    /// 0 when there is no such whole figure.
    pub fn whole(&self, name: &str) -> u64 {
        match self.of(name) {
            Some(Figure::Whole(number)) => *number,
            Some(Figure::Measured(_) | Figure::Text(_)) | None => 0,
        }
    }

    pub fn json(&self) -> String {
        let lines = self.named.iter().map(|(name, figure)| {
            let value = match figure {
                Figure::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
                Figure::Whole(_) | Figure::Measured(_) => figure.to_string(),
            };
            format!("  \"{name}\": {value}")
        });
        format!("{{\n{}\n}}\n", lines.collect::<Vec<_>>().join(",\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_flat_json() {
        let mut figures = Figures::default();
        figures.put("messages_per_s", Figure::Whole(1_234));
        figures.put("p50_ms", Figure::Measured(serde_json::from_str("12.005").unwrap()));
        figures.put("machine", Figure::Text("a \"b\"".to_owned()));
        let read: serde_json::Value = serde_json::from_str(&figures.json()).unwrap();
        assert_eq!(read["messages_per_s"], 1_234);
        assert_eq!(read["p50_ms"].to_string(), "12.005");
        assert_eq!(read["machine"], "a \"b\"");
        assert_eq!(figures.shown("p50_ms"), "12.005");
        assert_eq!(figures.whole("messages_per_s"), 1_234);
    }
}
