package cozetoken

import "coze-token/broker"

// Rows are the rows of all settings.
var Rows = settingList.Rows()

// Broker is what the settings say of the broker.
func (s *Settings) Broker() broker.Options { return s.broker }

// Unread are the settings that no feature reads.
func Unread() []string {
	r := open(nil, Options{})
	read(r, Options{})
	return r.Unread()
}
