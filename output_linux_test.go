package main

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"sunspool/internal/testprogram"
)

// Results that cannot be written are an error; a reader that has read enough, as behind `| head`, is none to talk about.
func TestResultsThatCannotBeWrittenAreAnError(t *testing.T) {
	dir := shortDir(t)
	inverter := startProgram(t, dir, regexp.MustCompile(`on (127\.0\.0\.1:\d+)`), nil, "simulate", "--listen=127.0.0.1:0")[1]
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("SKIPPED, NOTHING IS SHOWN: %v", err)
	}
	defer full.Close()
	for _, line := range []string{"--help", "env", "env --json", "version", "simulate --list-images", "completion bash", "status --json", "doctor", "doctor --json", "check edge --json",
		"probe --repeat=1 " + inverter, "probe --repeat=1 --json " + inverter} {
		type taking struct {
			to    *os.File
			error bool
		}
		read, closed, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		read.Close()
		for _, c := range []taking{{full, true}, {closed, false}} {
			var errs bytes.Buffer
			cmd := exec.CommandContext(t.Context(), testprogram.Path(t), strings.Fields(line)...)
			cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, []string{"HOME=" + dir}, c.to, &errs
			cmd.Run()
			if exit := cmd.ProcessState.ExitCode(); exit != 1 || strings.Contains(errs.String(), "no space left") != c.error || !c.error && errs.Len() > 0 {
				t.Errorf("sunspool %s > %s: exits %d, %q", line, c.to.Name(), exit, errs.String())
			}
		}
		closed.Close()
	}
}
