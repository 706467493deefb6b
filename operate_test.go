package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/internal/answer"
)

// What the operator types reaches the vps of the machine, or says in three lines that there is none; a wrong line asks nobody.
func TestOperatorsCommandsAskTheMachine(t *testing.T) {
	t.Setenv("DATA_DIR", t.TempDir())
	for line, exit := range map[string]int{
		"token create --role viewer --device a,b --name Family --expires 30d --url https://solar.example.org": health.ExitUnreachable,
		"token create --role admin --name Boss --json":                                                        health.ExitUnreachable,
		"token list":                            health.ExitUnreachable,
		"token list --json":                     health.ExitUnreachable,
		"token revoke Family":                   health.ExitUnreachable,
		"site set home --device a,b":            health.ExitUnreachable,
		"site list":                             health.ExitUnreachable,
		"vps backup -":                          health.ExitUnreachable,
		"vps backup":                            health.ExitUsage,
		"vps verify":                            health.ExitUsage,
		"vps restore --force":                   health.ExitUsage,
		"site remove home":                      health.ExitUnreachable,
		"token create --role owner --name Boss": health.ExitUsage,
		"token create --role viewer":            health.ExitUsage,
		"token revoke":                          health.ExitUsage,
		"site set home":                         health.ExitUsage,
	} {
		var out, errs bytes.Buffer
		if got := run(t.Context(), strings.Fields(line), &out, &errs); got != exit {
			t.Errorf("%s: exit status %d, want %d: %s", line, got, exit, &errs)
		}
		said := errs.String()
		if strings.HasSuffix(line, " --json") {
			var failure answer.Failure
			if err := json.Unmarshal(errs.Bytes(), &failure); err != nil || failure.Error.Code != "no_server" || failure.Error.Exit != exit || len(failure.Error.Next) != 1 {
				t.Errorf("%s: %v, %s", line, err, said)
			}
			continue
		}
		if exit == health.ExitUnreachable && (strings.Count(said, "\n") != 3 || !strings.HasPrefix(said, "error: no vps of this machine answers\n  why: ") || !strings.Contains(said, "\n next: ")) {
			t.Errorf("%s: %s", line, said)
		}
	}
}
