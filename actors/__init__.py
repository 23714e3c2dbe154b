"""Who does what: one actor a file or folder, its pure logic in files beside it."""
