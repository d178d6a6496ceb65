package coze

import "encoding/json"

// BotScope is the scope of tokens that may talk to these bots and do nothing else, in the shape that Coze's own SDK for
// JavaScript knows. It takes effect for channel (渠道) apps only.
func BotScope(bots ...string) json.RawMessage {
	type object = map[string]any
	scope, err := json.Marshal(object{
		"account_permission": object{"permission_list": []string{"Connector.botChat"}},
		"attribute_constraint": object{
			"connector_bot_chat_attribute": object{"bot_id_list": bots},
		},
	})
	if err != nil {
		panic(err) // it is all text
	}
	return scope
}
