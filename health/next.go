package health

import (
	"slices"
	"strings"
)

// programs are those with which a command in a Fault's Next begins.
var programs = []string{"sunspool", "sudo", "systemctl", "chmod", "timedatectl"}

// Pasteable returns what a terminal shows of a Fault's Next, which a person may paste into a shell as it is. Next is a
// command, with words behind a # if it needs some; or words, in which commands stand between backquotes. Words become
// a comment.
func Pasteable(next string) string {
	if first, _, _ := strings.Cut(next, " "); next == "" || slices.Contains(programs, first) {
		return next
	}
	return "# " + strings.ReplaceAll(next, "\n", "\n# ")
}

// Quote returns text as one word of a shell.
func Quote(text string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,="
	if text != "" && strings.Trim(text, plain) == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
