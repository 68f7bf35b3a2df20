"""What the page says, a file a tab: by key, in English and in Chinese."""
