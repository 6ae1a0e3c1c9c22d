"""What the pages of the console and of the documentation share: look, files for browsers, languages, code samples."""
