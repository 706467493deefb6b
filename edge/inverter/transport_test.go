package inverter

import (
	"bufio"
	"net"
	"slices"
	"testing"
	"time"
)

// ask sends one request for n words at 4999 to something that answers with stream.
func ask(t *testing.T, n byte, stream []byte) (*Transport, []byte, error) {
	ours, theirs := net.Pipe()
	go func() {
		theirs.Read(make([]byte, 64))
		theirs.Write(stream)
		theirs.Close()
	}()
	tr := &Transport{Timeout: time.Minute, conn: ours, in: bufio.NewReader(ours)}
	answer, err := tr.send(t.Context(), []byte{0, 1, 0, 0, 0, 6, 1, 4, 0x13, 0x87, 0, n})
	theirs.Close()
	return tr, answer, err
}

func TestOnlyTheAnswerToTheQuestionIsAccepted(t *testing.T) {
	good := []byte{0, 1, 0, 0, 0, 7, 1, 4, 4, 0x12, 0x34, 0x56, 0x78}
	for name, c := range map[string]struct {
		stream []byte
		ok     bool
	}{
		"the answer":                     {good, true},
		"after another client's":         {append([]byte{9, 9, 0, 0, 0, 7, 1, 4, 4, 1, 1, 1, 1}, good...), true},
		"an exception":                   {[]byte{0, 1, 0, 0, 0, 3, 1, 0x84, 2}, true},
		"exception code 0":               {[]byte{0, 1, 0, 0, 0, 3, 1, 0x84, 0}, true},
		"exception code 12":              {[]byte{0, 1, 0, 0, 0, 3, 1, 0x84, 12}, false},
		"exception without its code":     {[]byte{0, 1, 0, 0, 0, 2, 1, 0x84}, false},
		"exception with more than that":  {[]byte{0, 1, 0, 0, 0, 4, 1, 0x84, 2, 2}, false},
		"fewer registers":                {[]byte{0, 1, 0, 0, 0, 5, 1, 4, 2, 0x12, 0x34}, false},
		"more registers":                 {[]byte{0, 1, 0, 0, 0, 9, 1, 4, 6, 1, 2, 3, 4, 5, 6}, false},
		"no registers":                   {[]byte{0, 1, 0, 0, 0, 3, 1, 4, 0}, false},
		"a count that is not the length": {[]byte{0, 1, 0, 0, 0, 7, 1, 4, 2, 1, 2, 3, 4}, false},
		"another unit":                   {[]byte{0, 1, 0, 0, 0, 7, 2, 4, 4, 1, 2, 3, 4}, false},
		"another function":               {[]byte{0, 1, 0, 0, 0, 7, 1, 3, 4, 1, 2, 3, 4}, false},
		"an exception to another":        {[]byte{0, 1, 0, 0, 0, 3, 1, 0x83, 2}, false},
		"another protocol":               {[]byte{0, 1, 0, 1, 0, 7, 1, 4, 4, 1, 2, 3, 4}, false},
		"a length that cannot be":        {[]byte{0, 1, 0, 0, 1, 7, 1, 4, 4, 1, 2, 3, 4}, false},
		"something after it":             {append(slices.Clone(good), 0), false},
		"half of it":                     {good[:9], false},
		"nothing":                        {nil, false},
	} {
		tr, answer, err := ask(t, 2, c.stream)
		if (err == nil) != c.ok {
			t.Errorf("%s: % x, %v", name, answer, err)
		}
		if (tr.conn != nil) != c.ok {
			t.Errorf("%s: the connection is kept: %v", name, tr.conn != nil)
		}
	}
}

// No bytes of a stranger make a reading of anything but what was asked, and none make us panic.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 5, 1, 4, 2, 0x12, 0x34})
	f.Add([]byte{0, 1, 0, 0, 0, 3, 1, 0x84, 2})
	f.Add([]byte{0, 1, 0, 0, 0, 2, 1, 0x84})
	f.Add([]byte{0, 9, 0, 0, 0, 3, 1, 0x84, 2, 0, 1, 0, 0, 0, 5, 1, 4, 2, 0x12, 0x34})
	f.Fuzz(func(t *testing.T, stream []byte) {
		tr, answer, err := ask(t, 1, stream)
		if err != nil {
			if tr.conn != nil {
				t.Error("the connection survives an error")
			}
			return
		}
		good := slices.Equal(answer[:2], []byte{0, 1}) && answer[6] == 1 &&
			(answer[7] == 4 && len(answer) == 11 && answer[8] == 2 || answer[7] == 0x84 && len(answer) == 9 && answer[8] <= 11)
		if !good {
			t.Errorf("accepted % x", answer)
		}
	})
}
