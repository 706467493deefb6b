package setup

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sunspool/health"
	"sunspool/internal/checklist"
	"sunspool/settings"
)

const asking = "sunspool setup --help"

// answer returns what is set, else what a person says, else an error that names the flag.
func (s *Setup) answer(question, flag, set, now string, check func(string) error) (string, error) {
	if set != "" {
		return set, check(set)
	}
	if !s.asks() {
		if now != "" {
			return now, check(now)
		}
		return "", &health.Fault{Code: "usage", Exit: health.ExitUsage, What: flag + " is missing", Next: asking}
	}
	for {
		if now != "" {
			fmt.Fprintf(s.Out, "%s [%s]: ", question, now)
		} else {
			fmt.Fprintf(s.Out, "%s: ", question)
		}
		typed, ok := s.read()
		if !ok {
			return "", &health.Fault{Code: "interrupted", Exit: health.ExitInterrupted, What: "nothing was changed", Next: "sudo sunspool setup"}
		}
		text := cmp.Or(strings.TrimSpace(typed), now)
		err := check(text)
		if text != "" && err == nil {
			return text, nil
		}
		if err != nil {
			s.complain("answer", err)
		}
	}
}

// complain prints what is wrong, and what to do, to a person who can answer otherwise.
func (s *Setup) complain(area string, err error) {
	if err == errAskAgain {
		return
	}
	check := checklist.Of(area, err)
	switch check.Code {
	case "interrupted":
		return // who did it knows
	case "inverter_unusable":
		check.What = err.(*health.Fault).Why // which has the address
	}
	if check.Next == asking {
		check.Next = "" // one is asked
	}
	checklist.Printer{Style: s.Style, Out: s.Out}.Print(check)
}

// reader reads what a person types, a line each time, until the input or ctx ends: Ctrl-C ends a question, too.
func (s *Setup) reader(ctx context.Context) func() (line string, ok bool) {
	lines := bufio.NewScanner(s.In)
	return func() (string, bool) {
		if ctx.Err() != nil {
			return "", false
		}
		got := make(chan bool, 1)
		go func() { got <- lines.Scan() }()
		select {
		case ok := <-got:
			if !ok {
				fmt.Fprintln(s.Out) // behind the question
			}
			return lines.Text(), ok
		case <-ctx.Done():
			fmt.Fprintln(s.Out)
			return "", false // and nothing is read any more
		}
	}
}

// choose is answer for one of several words.
func (s *Setup) choose(question, flag, set, now string, words ...string) (string, error) {
	return s.answer(question, flag, set, now, func(text string) error {
		if slices.Contains(words, text) {
			return nil
		}
		return &health.Fault{Code: "usage", Exit: health.ExitUsage, What: fmt.Sprintf("%q is none of %s", text, strings.Join(words, ", ")), Next: asking}
	})
}

// confirm asks a question that --yes answers.
func (s *Setup) confirm(question string) (bool, error) {
	if s.cfg.Yes {
		return true, nil
	}
	if !s.Terminal {
		return false, &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "nobody is there to confirm the changes", Next: "add --yes, or see them with --print"}
	}
	return s.yes(question, true)
}

// asks reports whether a person is asked.
func (s *Setup) asks() bool { return s.Terminal && !s.cfg.Yes }

// yes asks a person; preset is the answer of who only presses the return key.
func (s *Setup) yes(question string, preset bool) (bool, error) {
	choice := "[y/N]"
	if preset {
		choice = "[Y/n]"
	}
	for {
		fmt.Fprintf(s.Out, "\n%s %s: ", question, choice)
		typed, ok := s.read()
		if !ok {
			return false, &health.Fault{Code: "interrupted", Exit: health.ExitInterrupted, What: "nothing was changed", Next: "sudo sunspool setup"}
		}
		switch strings.ToLower(strings.TrimSpace(typed)) {
		case "":
			return preset, nil
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
	}
}

// readToken reads a device token from a file or standard input.
func (s *Setup) readToken() (string, error) {
	var token string
	var err error
	if s.cfg.TokenFile == "-" {
		var text []byte
		text, err = io.ReadAll(io.LimitReader(s.In, 4096))
		token = strings.TrimSpace(string(text))
	} else {
		token, err = settings.ReadSecretFile(s.cfg.TokenFile)
		token = strings.TrimSpace(token)
	}
	if err != nil {
		return "", &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "the token cannot be read", Why: err.Error(), Next: "--token-file FILE, of mode 0600, with the token alone"}
	}
	if len(token) < 16 || strings.ContainsAny(token, " \t\r\n\"'") {
		return "", &health.Fault{Code: "usage", Exit: health.ExitUsage, What: "that is no token", Why: "it has fewer than 16 characters, spaces or quotes", Next: "sunspool token create --role device --device NAME --name NAME   # on the server makes one"}
	}
	return token, nil
}

// until asks f every half second until it is done, or the time is over.
func until(ctx context.Context, most time.Duration, f func() bool) bool {
	for end := time.Now().Add(most); ; {
		if f() {
			return true
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return false
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}
