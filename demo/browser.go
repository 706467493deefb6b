package demo

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
)

// openBrowser shows a page in the browser of whoever started the demo.
func openBrowser(ctx context.Context, url string) error {
	for _, command := range openers(runtime.GOOS) {
		path, err := exec.LookPath(command[0])
		if err != nil {
			continue
		}
		return exec.CommandContext(ctx, path, append(command[1:], url)...).Start()
	}
	return errors.New("no program that opens a page is installed")
}

// openers are the commands that open a page, the first that is there is taken.
func openers(system string) [][]string {
	switch system {
	case "darwin":
		return [][]string{{"open"}}
	case "windows":
		return [][]string{{"rundll32", "url.dll,FileProtocolHandler"}}
	}
	return [][]string{{"xdg-open"}, {"wslview"}, {"x-www-browser"}, {"sensible-browser"}}
}
